# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""What rivals are to do, and which of it a plan measures."""

from programs import PROGRAMS, REFERENCE as PROGRAM_REFERENCE
from rivals import CHAIN_REFERENCE, REFERENCE, USUAL_SIZE, known

IMIX = [64] * 7 + [576] * 4 + [1518]

ENDS = known(["avp-stock", "avp-copy", "avp-recycle", "avp", "avp-app", "vhost-packed", "vhost-split",
              "vhost-split-vec", "memif", "memif-zc", "tap", "af-packet", "ring"])
SWITCH = known(["avp-domain-stock", "avp-domain-copy", "avp-domain-recycle", "avp-domain", "avp-stock",
                "avp-copy", "avp-recycle", "avp", "vhost-packed", "vhost-split", "memif", "memif-zc",
                "ring"])
FAST = known(["avp-stock", "avp-copy", "avp-recycle", "avp", "vhost-packed", "vhost-split", "memif",
              "memif-zc", "ring"])
FEW = ["avp-stock", "avp", "vhost-packed", "memif"]
THROUGH = known(list(PROGRAMS))
LEARNING = ["switch", "switch-domain", "ovs-normal"]

TESTS = {"ends": "Two ends", "switch": "Guest, switch loop, guest", "ping": "Round trip of one packet",
         "paced": "Round trip at a rate", "to-guest": "Host to guest", "to-host": "Guest to host",
         "through": "Guest, switch program, guest"}
WORKS = {"io": "payload untouched", "mac": "addresses rewritten on both sides",
         "full": "all bytes rewritten by the guest"}


class Work:
    """What one table is about."""

    def __init__(self, test="ends", work="mac", size=64, rivals=ENDS, queues=1, burst=32, in_flight=256,
                 processes=1, pairs=None, segments=1, mbuf_room=None, vlan=False, macs=None, load=None,
                 weight=1):
        self.test = test
        self.work = work
        self.sizes = size if isinstance(size, list) else [size]
        self.rivals = rivals
        self.queues = queues
        self.burst = burst
        self.in_flight = in_flight
        self.processes = processes
        self.pairs = pairs or (2 if test in ("switch", "through") else 1)
        self.segments = segments    # mbufs of a packet when it is made
        self.mbuf_room = mbuf_room  # None: a packet fits
        self.vlan = vlan
        self.macs = macs
        self.load = load            # percent of the highest rate
        self.weight = weight        # gone through in one round of so many

    @property
    def reference(self):
        if self.test == "through":
            return PROGRAM_REFERENCE
        return CHAIN_REFERENCE if self.chains else REFERENCE

    @property
    def jumbo(self):
        return max(self.sizes) > USUAL_SIZE

    @property
    def chains(self):
        return self.segments > 1 or self.mbuf_room is not None

    @property
    def needs(self):
        """What not every rival can do."""
        some = {"pairs": self.pairs > 1, "segments": self.segments > 1, "processes": self.processes > 1, "chains": self.chains,
                "paced": self.test == "paced", "vlan": self.vlan}
        return [name for name, needed in some.items() if needed]

    @property
    def parts(self):
        """(for the key, for the title) of what is not as usual."""
        parts = [("q%d" % self.queues, "%d queues" % self.queues, self.queues != 1),
                 ("b%d" % self.burst, "bursts of %d" % self.burst, self.burst != 32),
                 ("n%d" % self.pairs, "%d ports" % self.pairs,
                  self.pairs != (2 if self.test in ("switch", "through") else 1)),
                 ("s%d" % self.segments, "made of %d mbufs" % self.segments, self.segments > 1),
                 ("r%s" % self.mbuf_room, "mbufs of %s bytes" % self.mbuf_room, self.mbuf_room),
                 ("vlan", "tagged", self.vlan),
                 ("m%s" % self.macs, "%s MACs" % self.macs, self.macs),
                 ("l%s" % self.load, "%s %% of the highest rate" % self.load, self.load),
                 ("p%d" % self.processes, "two processes", self.processes != 1)]
        return [(key, title) for key, title, there in parts if there]

    @property
    def key(self):
        size = "imix" if len(self.sizes) > 1 else str(self.sizes[0])
        return "-".join([self.test, self.work, size] + [key for key, _ in self.parts])

    @property
    def title(self):
        size = "IMIX" if len(self.sizes) > 1 else "%d bytes" % self.sizes[0]
        return ", ".join([TESTS[self.test], size, WORKS[self.work]] + [title for _, title in self.parts])


# Of how many ports, queues and MACs goals are about.
PORTS = (2, 32)
QUEUES = (1, 4)
MACS = (10, 1000000)


def ports_work(pairs, rivals, **kwargs):
    """Debian's DPDK has room for 32 ports in a process: two processes have 32 each."""
    return Work(pairs=pairs, processes=2, in_flight=64, rivals=rivals, **kwargs)


def plan_default():
    works = [Work(size=size) for size in (64, 1518)]
    works += [Work(test="switch", size=size, rivals=SWITCH) for size in (64, 1518)]
    works += [Work(test="ping", size=size, weight=2) for size in (64, 1518)]
    works += [Work(test="through", size=size, rivals=THROUGH, weight=2) for size in (64, 1518)]
    works += [Work(test="paced", load=50, rivals=FEW, weight=2)]
    works += [ports_work(pairs, ["avp", "vhost-packed"], weight=2) for pairs in PORTS]
    works += [Work(queues=QUEUES[1], in_flight=256 // QUEUES[1], rivals=["avp", "vhost-packed"], weight=2)]
    works += [Work(test="through", macs=macs, rivals=LEARNING, weight=2) for macs in MACS]
    return works


def plan_full():
    sizes = (64, 128, 256, 512, 1024, 1518, 9000, IMIX)
    works = [Work(size=size, work=work) for size in sizes for work in ("mac", "io", "full")]
    works += [Work(test="switch", work=work, size=size, rivals=SWITCH)
              for size in (64, 512, 1518, 9000, IMIX) for work in ("mac", "io", "full")]
    works += [Work(test=test, size=size) for size in (64, 1518) for test in ("to-guest", "to-host")]
    works += [Work(test="ping", size=size) for size in (64, 512, 1518, 9000)]
    works += [Work(test="paced", load=load, size=size, rivals=FAST)
              for load in (10, 50, 90) for size in (64, 1518)]
    works += [Work(test="through", size=size, rivals=THROUGH) for size in (64, 512, 1518)]
    works += [Work(burst=burst, size=size, rivals=FAST) for burst in (1, 4, 8, 16, 64)
              for size in (64, 1518)]
    works += [Work(queues=queues, in_flight=256 // queues, rivals=FAST) for queues in (2, 4, 8)]
    works += [Work(processes=2, size=size, rivals=FAST) for size in (64, 1518)]
    works += [Work(pairs=pairs, in_flight=64, rivals=FEW) for pairs in (2, 4, 8, 15)]
    works += [ports_work(pairs, FEW) for pairs in (2, 8, 32)]
    works += [Work(vlan=True, size=size, rivals=FAST) for size in (64, 1518)]
    works += [Work(test="through", vlan=True, rivals=["switch", "ovs-normal"])]
    works += [Work(test=test, size=1500, segments=5, rivals=FAST) for test in ("to-guest", "to-host")]
    works += [Work(size=9000, mbuf_room=2048, in_flight=64, rivals=FAST)]
    works += [Work(test="through", macs=macs, rivals=LEARNING)
              for macs in (10, 1000, 100000, 1000000)]
    return works


# Works, and seconds that the whole may take.
PLANS = {
    "smoke": (lambda: [Work(), Work(test="switch", rivals=SWITCH), Work(test="ping")], 0),
    "default": (plan_default, 270),
    "full": (plan_full, 43 * 60),
}
