-- Sends the requests of a file one after another and prints the outcome as one line of JSON.
-- Arguments: file, bytes of a request, number of requests, number of the first one to send.

local file, size, total, left

function init(arguments)
  file = assert(io.open(arguments[1], "rb"))
  size, total = tonumber(arguments[2]), tonumber(arguments[3])
  local first = tonumber(arguments[4])
  file:setvbuf("full", 262144)
  file:seek("set", first * size)
  left = total - first
end

function request()
  if left == 0 then
    file:seek("set", 0)
    left = total
  end
  left = left - 1
  return file:read(size)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nOUTCOME {"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
