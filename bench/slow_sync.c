/* Loaded before a database server: every fsync and fdatasync takes DELAY_US microseconds longer, as on a cloud volume. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

int fdatasync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    usleep(DELAY_US);
    return real(file);
}

int fsync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    usleep(DELAY_US);
    return real(file);
}
