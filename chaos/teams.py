"""Processes that are kept running: whoever dies is replaced at once, as a supervisor would."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Sequence
from contextlib import suppress

from attrs import define, field

from chaos.processes import Child, Crowd, children_of


@define
class Post:
    """A place that is always filled: the role, its descriptors, and who fills it now."""

    role: str
    fds: Sequence[int] = ()
    facade: str = "blocking"
    child: Child | None = None


@define
class Team:
    """The posts of one scenario, watched on the running loop."""

    crowd: Crowd
    posts: Sequence[Post]
    #: How often anybody had to be replaced.
    replaced: int = 0
    _watching: bool = field(default=True, init=False)

    def start(self) -> None:
        """Fill every post."""
        for post in self.posts:
            self._fill(post)

    def kill_one(self, chance: random.Random) -> str:
        """Kill -9 to somebody; which role it was. Of a gunicorn sometimes the master, mostly its worker."""
        post = chance.choice(self.posts)
        child = post.child
        if child is None:
            return post.role
        workers = children_of(child.pid) if post.role == "flask" else []
        if workers and chance.random() < 0.75:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
        else:
            child.kill()
        return post.role

    def dismiss(self) -> None:
        """Replace nobody from now on."""
        self._watching = False
        for post in self.posts:
            if post.child is not None:
                asyncio.get_running_loop().remove_reader(post.child.fileno())

    def _fill(self, post: Post) -> None:
        child = self.crowd.start(post.role, post.fds, facade=post.facade)
        post.child = child
        asyncio.get_running_loop().add_reader(child.fileno(), self._died, post, child)

    def _died(self, post: Post, child: Child) -> None:
        asyncio.get_running_loop().remove_reader(child.fileno())
        if self._watching:
            self.replaced += 1
            self._fill(post)
