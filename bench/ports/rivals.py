# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 OpenAVP contributors
"""What is compared: AVP in its variants, and what a user could pick instead, each as configured best.

A rival says how a pair of port ends is made: `host` and `guest` are ends as bench_ports takes them,
where {i} is the number of the pair, {dir} a folder for sockets and {queues} the number of queues.
"""

# The one that ratios are given to.
REFERENCE = "vhost-packed"
# The same for packets of several mbufs.
CHAIN_REFERENCE = "vhost-split"
# What nothing that passes packets by memory can exceed.
LIMIT = "ring"
# What turns off, at both ends, extensions of the rings that our drivers have by default; empty while
# there are none. Then the rivals that differ in it only are left out.
BASE_RING = ",compact=0"

# No port passes more; one of a queue's packets may be in several buffers.
USUAL_SIZE = 1518


class Rival:
    """One way to connect a guest. Its attributes are the arguments of __init__()."""

    def __init__(self, label, host, guest, args=(), usual_host="", jumbo_host="", jumbo_guest="",
                 vlan_host="", vlan_args=(), chain_guest=None, setup="", real_time=True, cannot=None,
                 max_size=9018, clip=None, avp=False):
        self.label = label              # in tables
        self.host = host
        self.guest = guest
        self.args = list(args)          # for bench_ports
        self.usual_host = usual_host    # appended to the end for packets up to 1518 bytes
        self.jumbo_host = jumbo_host    # appended to the end for packets above 1518 bytes
        self.jumbo_guest = jumbo_guest
        self.vlan_host = vlan_host      # appended to the end for packets with tags
        self.vlan_args = list(vlan_args)
        self.chain_guest = chain_guest or guest  # for packets of several mbufs
        self.setup = setup              # shell, before, in a network namespace of its own
        self.real_time = real_time      # may it be run so that nothing else runs?
        self.cannot = cannot or {}      # capability (Work.needs): why not
        self.max_size = max_size
        self.clip = clip                # longer packets are made this long
        self.avp = avp


def avp(label, host_args="", guest=None, args=(), **kwargs):
    host = "net_avp_host{i},socket={dir}/p{i},queues={queues}" + host_args
    guest = guest or "net_avp_user{i},socket={dir}/p{i}"
    # a packet of 9000 bytes takes five buffers
    return Rival(label, host, guest, args, usual_host=",ring=512", jumbo_host=",ring=2048,mru=9238",
                 vlan_host="" if guest == STOCK else ",vlan_offload=1", vlan_args=["--vlan-offload"],
                 avp=True, **kwargs)


def vhost(label, guest_args, chain_args=None, **kwargs):
    guest = "net_virtio_user{i},path={dir}/v{i},queues={queues},queue_size=512,"
    return Rival(label, "net_vhost{i},iface={dir}/v{i},queues={queues}", guest + guest_args,
                 chain_guest=chain_args and guest + chain_args, **kwargs)


def memif(label, guest_args="", **kwargs):
    ends = "net_memif{role}{i},role={role},id={i},socket={dir}/m{i},socket-abstract=no,rsize=9"
    return Rival(label, ends.replace("{role}", "server"),
                 ends.replace("{role}", "client") + guest_args,
                 jumbo_host=",bsize=9216", jumbo_guest=",bsize=9216", **kwargs)


COPY = "net_avp_user{i},socket={dir}/p{i},recycle=0"
BASE = "net_avp_user{i},socket={dir}/p{i}" + BASE_RING
STOCK = "stock:{dir}/p{i}"
# Without addresses of its own the kernel says nothing by itself.
QUIET = "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; "
AF_PACKET = ",qpairs={queues},blocksz=4096,framesz=2048,framecnt=512,qdisc_bypass=1"
ONE_CLIENT = "when its client connects it closes the EAL's own descriptor of the memory: one per process"
NO_CHAINS = "the vectorized functions take no packets of several mbufs"
KERNEL = {"real_time": False, "max_size": USUAL_SIZE, "clip": 1514,
          "cannot": dict.fromkeys(("pairs", "processes", "paced", "chains", "vlan"), "left out: slow")}
VECTORIZED = "packed_vq=1,in_order=1,mrg_rxbuf=0,vectorized=1"

# The order is that of tables.
RIVALS = {
    "avp-stock": avp("AVP, stock driver (emulated)", guest=STOCK,
                     cannot={"segments": "the emulation takes the driver's path for long packets only "
                             "where these may be longer than a buffer"}),
    "avp-copy": avp("AVP, our driver by copy", guest=COPY),
    "avp-recycle": avp("AVP, our driver, recycle, base contract's rings", BASE_RING, guest=BASE),
    "avp": avp("AVP, our driver"),
    "avp-app": avp("AVP, our driver, host with application's mempool", args=["--app-pool"]),
    "avp-domain-stock": avp("AVP, one domain, stock driver (emulated)", ",domain=d", guest=STOCK),
    "avp-domain-copy": avp("AVP, one domain, our driver by copy", ",domain=d", guest=COPY),
    "avp-domain-recycle": avp("AVP, one domain, our driver, recycle, base contract's rings",
                              ",domain=d" + BASE_RING, guest=BASE),
    "avp-domain": avp("AVP, one domain, our driver", ",domain=d"),
    "vhost-packed": vhost("vhost-user, virtio-user packed in-order vectorized", VECTORIZED,
                          cannot={"chains": "no packet of several mbufs came through packed rings, "
                                  "vectorized or not, in DPDK 22.11"}),
    "vhost-split": vhost("vhost-user, virtio-user split in-order", "in_order=1,mrg_rxbuf=0",
                         "in_order=1,mrg_rxbuf=1"),
    "vhost-split-vec": vhost("vhost-user, virtio-user split vectorized",
                             "in_order=0,mrg_rxbuf=0,vectorized=1", cannot={"chains": NO_CHAINS}),
    "memif": memif("memif, by copy"),
    "memif-zc": memif("memif, zero-copy client", ",zero-copy=yes", cannot={"pairs": ONE_CLIENT}),
    "tap": Rival("kernel: net_tap, net_af_packet", "net_tap{i},iface=t{i}",
                 "net_af_packet{i},iface=t{i}" + AF_PACKET, setup=QUIET, **KERNEL),
    "af-packet": Rival("kernel: net_af_packet on both ends of a veth",
                       "net_af_packet{i},iface=h{i}" + AF_PACKET,
                       "net_af_packet1{i},iface=g{i}" + AF_PACKET,
                       setup=QUIET + "ip link add h0 type veth peer name g0; ip link set h0 up; "
                       "ip link set g0 up; ", **KERNEL),
    "ring": Rival("limit: rte_ring of pointers", "ring:r{i}", "ring:r{i}",
                  cannot={"processes": "the rings are private to a process"}),
}


def known(names):
    """Without those that would be the same as another."""
    return [name for name in names if BASE_RING or name not in ("avp-recycle", "avp-domain-recycle",
                                                                "switch-recycle")]
