"""Accounts for the processor time of a request: reads `perf script` and prints the share of each part, client and nodes apart.

    perf record -a -F 299 --call-graph dwarf,8192 -o wire.data -- sleep 5        # while a scene runs
    perf script --no-inline -i wire.data -F pid,comm,sym | python3 account.py CLIENT_PID CPU_US

CLIENT_PID is that of `wire`; CPU_US is what it printed for the request. A sample belongs to the first part that has a function
anywhere in its stack. Everybody else's samples, and idle ones, are left out.
"""

import collections
import re
import sys

PARTS = [
    ("sync of the log", r"sync_data|fdatasync"),
    ("append, memtable", r"engine::commit|Engine::(try_)?write"),
    ("flush, compaction", r"Engine::maintain|engine::(flush|compact|share|warm)"),
    ("reads of the engine", r"Engine::get"),
    ("stripes, committer", r"replica::(stripe|commit)"),
    ("UDP: send", r"sendmsg|quinn_udp::imp::send"),
    ("UDP: receive", r"recvmmsg|recvmsg|poll_socket"),
    ("QUIC, TLS", r"quinn|rustls|aws_lc"),
    ("lanes, frames", r"atoll_quic::"),
    ("SDK", r"atoll_client::"),
    ("service, coordinator", r"atolldb::(service|coordinator|net)"),
    ("the benchmark", r"rig::|hdrhistogram"),
    ("waking, switching, waiting", r"epoll|futex|schedule|eventfd|__x64_sys_|finish_task_switch"),
    ("runtime", r"tokio::"),
    ("other", r""),
]


def samples(lines):
    """Yields (pid, stack) of each sample."""
    head, stack = None, []
    for line in lines:
        if not line.strip():
            if head:
                yield head, " ".join(stack)
            head, stack = None, []
        elif head is None:
            found = re.search(r"\s(\d+)\s*$", line) or re.search(r"(\d+)", line)
            head = (int(found.group(1)), line)
        else:
            stack.append(line.strip())


def main():
    client, micros = int(sys.argv[1]), float(sys.argv[2])
    counts = collections.Counter()
    for (pid, head), stack in samples(sys.stdin):
        if not re.search(r"tokio-rt|atoll|wire", head) or "do_idle" in stack:
            continue
        side = "client" if pid == client else "nodes"
        part = next(name for name, pattern in PARTS if re.search(pattern, stack))
        counts[side, part] += 1
    total = sum(counts.values())
    for side in ("client", "nodes"):
        for name, _ in PARTS:
            share = counts[side, name] / total
            if share:
                print(f"{side:<7} {name:<27} {100 * share:5.1f} %  {share * micros:6.1f} us")


main()
