"""The event simulator once more: plain Python, one step at a time, lists instead of counters.

Written from the description of the rules, not from the kernels; slow, and only for small cases.
"""

import heapq
import math
from collections import Counter, OrderedDict

import numpy as np

from aifactory.serving.engine_events import uniform


class Job:
    def __init__(self, number, stream):
        self.number = number
        self.arrival = float(stream.arrival_s[number])
        self.prompt, self.output = int(stream.input_tokens[number]), int(stream.output_tokens[number])
        self.cached = int(stream.cached_tokens[number]) if stream.cached_tokens.size else 0
        self.priority = int(stream.priority[number]) if stream.priority.size else 0
        self.retries, self.outcome, self.finish, self.cause = 0, "unfinished", math.nan, ""
        self.names = []
        if stream.prefixes:
            start = stream.prefixes.start
            self.names = stream.prefixes.ids[start[number] : start[number + 1]].tolist()
        self.reset()

    def reset(self):
        self.made, self.done, self.first, self.start, self.blocks, self.moved = 0, 0, math.nan, math.nan, 0, False
        self.shared, self.work, self.reused, self.where = [], 0, 0, None


class Replica:
    def __init__(self, law, watermark, handoff=False, block=0, wasted=None):
        self.law, self.clock, self.busy, self.handoff = law, 0.0, 0.0, handoff
        self.block, self.users, self.idle, self.wasted = block, Counter(), OrderedDict(), wasted
        self.decoding, self.partial, self.queue, self.preempted = [], None, [], 0
        self.leaving, self.leaving_blocks = 0, 0
        self.total = law.kv_capacity_tokens // law.block_tokens
        self.reserve = int(watermark * self.total)

    @property
    def jobs(self):
        return len(self.decoding) + (self.partial is not None) + len(self.queue)

    @property
    def free(self):
        """KV blocks that no running job holds; a shared prefix block counts once."""
        return self.room(self.decoding + ([self.partial] if self.partial else []))

    def room(self, running):
        size = self.block // self.law.block_tokens
        own = sum(job.blocks - size * len(job.shared) for job in running)
        return self.total - own - size * len({name for job in running for name in job.shared})

    def evict(self, running):
        """Idle prefixes live in what running jobs leave, the last used longest."""
        while self.idle and len(self.idle) * (self.block // self.law.block_tokens) > self.room(running):
            self.idle.popitem(last=False)

    def use(self, job, name):
        self.idle.pop(name, None)
        self.users[name] += 1
        job.shared.append(name)

    def part(self, job):
        """A job gives back its memory: prefixes of which it was the last user are idle now, its first the newest."""
        for name in reversed(job.shared):
            self.users[name] -= 1
            if not self.users[name]:
                del self.users[name]
                self.idle[name] = True
        job.shared, job.blocks = [], 0

    def known(self, job):
        """Leading prefix blocks that are here; a token is left to compute."""
        found = []
        for name in job.names[: (job.prompt - 1) // self.block if self.block else 0]:
            if not self.users[name] and name not in self.idle:
                break
            found.append(name)
        return found

    def keep(self, job):
        for name in job.names[len(job.shared) : job.prompt // self.block if self.block else 0]:
            self.use(job, name)

    def blocks(self, tokens):
        return -(-tokens // self.law.block_tokens)

    def run(self, until, finished):
        while self.clock < until and self.jobs:
            self.step(finished)

    def make_room(self):
        """Every decoding job needs room for prompt + made tokens; the last job gives way."""
        while True:
            lacking = [job for job in self.decoding if self.blocks(job.prompt + job.made) > job.blocks]
            if len(lacking) <= self.free:
                break
            pool = self.decoding + ([self.partial] if self.partial else [])
            victim = max(pool, key=lambda job: (job.priority, job.number))
            if victim is self.partial:
                self.partial = None
            else:
                self.decoding.remove(victim)
            self.wasted["preempted"] += victim.work
            self.part(victim)
            victim.done, victim.moved, victim.work = 0, False, 0
            self.queue.insert(0, victim)
            self.preempted += 1
        for job in lacking:
            job.blocks += 1
        self.evict(self.decoding + ([self.partial] if self.partial else []))

    def head(self):
        return min(self.queue, key=lambda job: (job.priority, self.queue.index(job)))

    def admit(self, job, blocks):
        self.queue.remove(job)
        job.blocks = blocks
        if math.isnan(job.start):
            job.start = self.clock

    def step(self, finished):
        self.make_room()
        law = self.law
        while self.queue and self.head().moved and len(self.decoding) < law.max_batch:
            job = self.head()
            if self.free - self.blocks(job.prompt + 1) < self.reserve:
                break
            self.admit(job, self.blocks(job.prompt + 1))
            self.decoding.append(job)
        budget, chunks = law.chunk_tokens - len(self.decoding), []
        if self.partial and budget > 0:
            budget -= self.chunk(self.partial, budget, chunks)
        while budget > 0 and self.queue and len(self.decoding) + len(chunks) < law.max_batch:
            job = self.head()
            need = self.blocks(job.prompt + job.made)
            running = self.running_with(chunks)
            found = self.known(job)
            size, idle = self.block // law.block_tokens, sum(name in self.idle for name in found)
            if job.moved or self.room(running) - need + size * (len(found) - idle) < self.reserve:
                break
            self.admit(job, need)
            for name in found:
                self.use(job, name)
            job.done = len(found) * self.block if self.named else job.cached
            job.reused = job.done
            self.evict([*running, job])
            budget -= self.chunk(job, budget, chunks)
        self.partial = None if any(job is self.partial for job, _, _ in chunks) else self.partial
        self.move(chunks, finished)

    def waiting_with(self, new):
        """Jobs that still wait once the next step has begun if one joins; shared prefixes are not looked at."""
        law, priority = self.law, lambda job: job.priority
        free = self.free - sum(self.blocks(job.prompt + job.made) > job.blocks for job in self.decoding)
        budget, seats = law.chunk_tokens - len(self.decoding), law.max_batch - len(self.decoding)
        if self.partial:
            budget -= self.partial.prompt + self.partial.made - self.partial.done
            seats -= 1
        queue = sorted([*self.queue, new], key=priority)
        for place, job in enumerate(queue):
            free -= self.blocks(job.prompt + job.made)
            if free < self.reserve or free < 0 or budget <= 0 or seats <= 0:
                return len(queue) - place
            budget -= job.prompt + job.made - (0 if self.named else job.cached)
            seats -= 1
        return 0

    def running_with(self, chunks):
        return (
            self.decoding
            + ([self.partial] if self.partial else [])
            + [job for job, _, _ in chunks if job is not self.partial]
        )

    @staticmethod
    def chunk(job, budget, chunks):
        piece = min(job.prompt + job.made - job.done, budget)
        chunks.append((job, piece, sum(job.done + k for k in range(1, piece + 1))))
        job.done += piece
        job.work += piece
        return piece

    def move(self, chunks, finished):
        decoding = list(self.decoding)
        length = float(
            self.law.step_s(
                len(decoding) + sum(piece for _, piece, _ in chunks),
                len(decoding) + len(chunks),
                sum(job.prompt + job.made for job in decoding),
                sum(pairs for _, _, pairs in chunks),
            )
        )
        self.clock += length
        self.busy += length
        held = {id(job) for job in decoding + [job for job, _, _ in chunks]}
        here = len(self.queue) + len(held) + (self.partial is not None)
        free = self.room(self.running_with(chunks))
        for job in reversed(decoding):  # of what ends in one step, the last seated goes first
            job.work += 1
            self.token(job, finished)
        for job, _, _ in reversed(chunks):
            if job.done < job.prompt + job.made:
                self.partial = job
            else:
                if job.made == 0:
                    job.first = self.clock
                self.keep(job)
                self.decoding.append(job)
                self.token(job, finished)
        self.leaving, self.leaving_blocks = here - self.jobs, self.free - free

    def seen(self, time):
        """Requests and KV blocks that the step in progress at a time will give up at its end."""
        return (self.leaving, self.leaving_blocks) if self.clock > time else (0, 0)

    def token(self, job, finished):
        job.made += 1
        if job.made == job.output or (self.handoff and job.made == 1):
            self.decoding.remove(job)
            self.part(job)
            finished(job, self)

    def withdraw(self, job):
        """A client left: whatever holds its job lets go of it."""
        if job is self.partial:
            self.partial = None
        elif job in self.decoding:
            self.decoding.remove(job)
        else:
            self.queue.remove(job)
        self.part(job)


class PlainFleet:
    def __init__(self, stream, fleet):
        self.stream, self.fleet, self.events = stream, fleet, []
        self.jobs = [Job(number, stream) for number in range(len(stream))]
        self.wasted = {"preempted": 0, "lost": 0}
        named = bool(stream.prefixes) and fleet.prefix_cache
        if not fleet.prefix_cache:
            for job in self.jobs:
                job.cached = 0
        self.pools = [
            [
                Replica(
                    pool.law,
                    fleet.watermark,
                    handoff=k == 0 and fleet.decode is not None,
                    block=stream.prefixes.block_tokens if named and k != 1 else 0,
                    wasted=self.wasted,
                )
                for _ in range(pool.replicas)
            ]
            if pool
            else []
            for k, pool in enumerate(fleet.pools)
        ]
        self.turn = [0, 0, 0]
        for pool in self.pools:
            for replica in pool:
                replica.named = named

    def finished(self, job, replica):
        if replica.handoff and job.made < job.output:
            time = replica.clock + replica.law.s_per_transfer_token * job.prompt
            heapq.heappush(self.events, (time, 0, job.number, job.retries))
            job.where = None
        else:
            job.outcome = "overflowed" if replica in self.pools[2] else "served"
            job.finish = replica.clock

    def route(self, which, time):
        pool = self.pools[which]
        if self.fleet.routing == "round_robin":
            chosen = pool[self.turn[which]]
            self.turn[which] = (self.turn[which] + 1) % len(pool)
        else:
            for replica in pool:
                replica.run(time, self.finished)
            if self.fleet.routing == "least_outstanding":
                chosen = min(pool, key=lambda replica: replica.jobs + replica.seen(time)[0])
            else:
                chosen = min(
                    pool,
                    key=lambda replica: (
                        (replica.total - replica.free + replica.seen(time)[1]) * replica.law.block_tokens
                        + sum(job.prompt for job in replica.queue)
                    ),
                )
        chosen.run(time, self.finished)
        return chosen

    def take(self, replica, job, time):
        if not replica.jobs:
            replica.clock = max(replica.clock, time)
        replica.queue.append(job)
        job.where = replica

    def fits(self, which, job):
        replica = self.pools[which][0] if self.pools[which] else None
        return bool(replica) and replica.blocks(job.prompt + job.output) + replica.reserve <= replica.total

    def refuse(self, job, time, final):
        fleet = self.fleet
        if fleet.spill and self.fits(2, job):
            final = False
            replica = self.route(2, time)
            if fleet.queue_limit is None or replica.waiting_with(job) <= fleet.queue_limit:
                self.take(replica, job, time)
                return
        elif fleet.api and not fleet.spill:
            job.outcome, job.start, job.first = "overflowed", time, time + fleet.api.ttft_s
            job.finish, job.where = job.first + fleet.api.tpot_s * (job.output - 1), None
            return
        self.again(job, time, "too large" if final else "refused", final)

    def again(self, job, time, why, final=False):
        fleet = self.fleet
        if final or job.retries >= fleet.retries:
            job.outcome, job.finish, job.cause = "failed", time, why
            return
        delay = fleet.backoff_s * 2.0**job.retries * (0.5 + uniform(fleet.seed, job.number, job.retries))
        job.retries += 1
        heapq.heappush(self.events, (time + delay, 1, job.number, 0))

    def watch(self, job, time):
        """The client of a try that is on looks at its watch."""
        if self.fleet.timeout_s is not None and job.outcome != "failed":
            heapq.heappush(self.events, (time + self.fleet.timeout_s, 6, job.number, job.retries))

    def give_up(self, job, time, attempt):
        if job.retries != attempt or job.outcome == "failed":
            return
        if job.where and job.outcome == "unfinished":
            job.where.run(time, self.finished)
        if job.outcome != "unfinished":
            if job.finish <= time:
                return
            job.outcome = "unfinished"
        elif job.where:
            job.where.withdraw(job)
        self.wasted["lost"] += job.work
        job.reset()
        self.again(job, time, "timed out")

    def submit(self, job, time):
        retries = job.retries
        self.place(job, time)
        if job.retries == retries:
            self.watch(job, time)

    def place(self, job, time):
        if not self.fits(0, job) or (self.fleet.decode and not self.fits(1, job)):
            self.refuse(job, time, True)
            return
        replica = self.route(0, time)
        limit = self.fleet.queue_limit
        if limit is not None and replica.waiting_with(job) > limit:
            self.refuse(job, time, False)
        else:
            self.take(replica, job, time)

    def run(self):
        arrived = 0
        while True:
            arrival = self.jobs[arrived].arrival if arrived < len(self.jobs) else math.inf
            time = min(arrival, self.events[0][0] if self.events else math.inf)
            if self.fleet.decode:
                for replica in self.pools[0]:
                    replica.run(time, self.finished)
                time = min(time, self.events[0][0] if self.events else math.inf)
            if time == math.inf:
                break
            if self.events and self.events[0][0] <= time:
                _, kind, number, attempt = heapq.heappop(self.events)
                job = self.jobs[number]
                if kind == 6:
                    self.give_up(job, time, attempt)
                elif kind == 0:
                    if job.retries == attempt and job.outcome == "unfinished":
                        job.moved = True
                        self.take(self.route(1, time), job, time)
                else:
                    self.jobs[number].reset()
                    self.submit(self.jobs[number], time)
            else:
                self.submit(self.jobs[arrived], arrival)
                arrived += 1
        for pool in self.pools:
            for replica in pool:
                replica.run(math.inf, self.finished)
        return self

    def column(self, name):
        return np.array([getattr(job, name) for job in self.jobs])
