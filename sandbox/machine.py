"""What a machine says of itself in /etc, /proc and /sys, as its persona wants it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sandbox.bait import Draw

if TYPE_CHECKING:
    from sandbox.persona import Persona

SERVICES = (
    ("daemon", 1, "/usr/sbin"), ("bin", 2, "/bin"), ("sys", 3, "/dev"), ("man", 6, "/var/cache/man"),
    ("mail", 8, "/var/mail"), ("www-data", 33, "/var/www"), ("systemd-network", 998, "/"),
    ("messagebus", 101, "/nonexistent"), ("sshd", 107, "/run/sshd"), ("nobody", 65534, "/nonexistent"),
)  # fmt: skip

MODEL = "11th Gen Intel(R) Core(TM) i7-1185G7 @ 3.00GHz"
FLAGS = (
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss ht syscall "
    "nx pdpe1gb rdtscp lm constant_tsc arch_perfmon rep_good nopl xtopology nonstop_tsc cpuid aperfmperf pni "
    "pclmulqdq ssse3 fma cx16 pcid sse4_1 sse4_2 x2apic movbe popcnt aes xsave avx f16c rdrand lahf_lm abm "
    "3dnowprefetch fsgsbase bmi1 avx2 smep bmi2 erms invpcid rdseed adx smap clflushopt clwb xsaveopt xsavec"
)
"""Nothing beyond AVX2: a program that trusts this must not meet an instruction that the real processor lacks."""


def etc_files(persona: Persona, draw: Draw | None = None) -> dict[str, bytes]:
    """The files of /etc that tell one machine from another, by absolute path. With `draw`, a machine id too."""
    user, host = persona.user, persona.host
    accounts = ["root:x:0:0:root:/root:/bin/bash"]
    accounts += [f"{name}:x:{number}:{number}::{home}:/usr/sbin/nologin" for name, number, home in SERVICES]
    accounts.append(f"{user}:x:1000:1000:{persona.name},,,:{persona.home}:/bin/bash")
    groups = ["root:x:0:", "tty:x:5:", "adm:x:4:syslog," + user, f"sudo:x:27:{user}", "shadow:x:42:"]
    groups += [f"{name}:x:{number}:" for name, number, _ in SERVICES if name != "nobody"]
    groups += [f"docker:x:999:{user}", f"{user}:x:1000:", "nogroup:x:65534:"]
    texts = {
        "/etc/hostname": host,
        "/etc/hosts": f"127.0.0.1\tlocalhost\n127.0.1.1\t{host}\n\n::1\tip6-localhost ip6-loopback localhost",
        "/etc/passwd": "\n".join(accounts),
        "/etc/group": "\n".join(groups),
        "/etc/timezone": persona.timezone,
        "/etc/resolv.conf": "nameserver 192.168.1.1",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files",
        "/etc/host.conf": "multi on",
        "/etc/shells": "/bin/sh\n/bin/bash\n/usr/bin/bash",
        "/etc/default/locale": f"LANG={persona.locale}",
    }
    if draw is not None:
        texts["/etc/machine-id"] = draw.text("0123456789abcdef", 32)
    return {path: f"{text}\n".encode() for path, text in texts.items()}


def machine_files(persona: Persona, now: float = 0.0) -> dict[str, bytes]:
    """The kernel's files that count processors, memory and the time since the start, by absolute path.

    `now` is the time for which they are right (seconds since 1970); left out, it is the present.
    """
    last = persona.cpus - 1
    online = f"0-{last}\n" if last else "0\n"
    started = int((now or time.time()) - persona.uptime)
    return {
        "/proc/cpuinfo": "".join(_processor(number, persona.cpus) for number in range(persona.cpus)).encode(),
        "/proc/stat": _statistics(persona, started).encode(),
        "/proc/meminfo": _memory(persona.memory // 1024).encode(),
        "/sys/devices/system/cpu/online": online.encode(),
        "/sys/devices/system/cpu/present": online.encode(),
        "/sys/devices/system/cpu/possible": online.encode(),
    }


def _processor(number: int, count: int) -> str:
    cores = max(1, count // 2)
    speed = (2995, 1402, 2611, 3187, 1198, 2995, 3602, 2218)[number % 8]
    entries = {
        "processor\t": number,
        "vendor_id\t": "GenuineIntel",
        "cpu family\t": 6,
        "model\t\t": 140,
        "model name\t": MODEL,
        "stepping\t": 1,
        "microcode\t": "0xb8",
        "cpu MHz\t\t": f"{speed}.{number * 37 % 1000:03}",
        "cache size\t": "12288 KB",
        "physical id\t": 0,
        "siblings\t": count,
        "core id\t\t": number % cores,
        "cpu cores\t": cores,
        "apicid\t\t": number,
        "fpu\t\t": "yes",
        "fpu_exception\t": "yes",
        "cpuid level\t": 27,
        "wp\t\t": "yes",
        "flags\t\t": FLAGS,
        "bugs\t\t": "spectre_v1 spectre_v2 spec_store_bypass swapgs retbleed eibrs_pbrsb gds bhi",
        "bogomips\t": "5990.40",
        "clflush size\t": 64,
        "cache_alignment\t": 64,
        "address sizes\t": "39 bits physical, 48 bits virtual",
        "power management": "",
    }
    return "".join(f"{key}: {value}\n" for key, value in entries.items()) + "\n"


def _statistics(persona: Persona, started: int) -> str:
    """Processor times of a machine that was idle nine tenths of the time, in hundredths of a second."""
    total = persona.uptime * 100
    lines = []
    for number in range(persona.cpus):
        share = total * (63 + number * 5 % 17) // 1000
        times = (share, share // 90, share // 3, total - share - share // 3, share // 40, 0, share // 60, 0, 0, 0)
        lines.append(times)
    every = tuple(sum(column) for column in zip(*lines, strict=True))
    rows = [f"cpu  {' '.join(map(str, every))}"]
    rows += [f"cpu{number} {' '.join(map(str, times))}" for number, times in enumerate(lines)]
    rows += [f"intr {total * 11}", f"ctxt {total * 23}", f"btime {started}", f"processes {persona.uptime * 2 + 977}"]
    rows += ["procs_running 2", "procs_blocked 0", f"softirq {total * 7}", ""]
    return "\n".join(rows)


def _memory(total: int) -> str:
    """A third of the memory in use, in kibibytes."""
    amounts = {
        "MemTotal": total,
        "MemFree": total * 21 // 100,
        "MemAvailable": total * 66 // 100,
        "Buffers": total * 3 // 100,
        "Cached": total * 39 // 100,
        "SwapCached": 0,
        "Active": total * 34 // 100,
        "Inactive": total * 29 // 100,
        "SwapTotal": 2097148,
        "SwapFree": 2084604,
        "Dirty": 1184,
        "Writeback": 0,
        "AnonPages": total * 22 // 100,
        "Mapped": total * 6 // 100,
        "Shmem": total * 5 // 100,
        "Slab": total * 4 // 100,
        "CommitLimit": total // 2 + 2097148,
        "Committed_AS": total * 71 // 100,
    }
    return "".join(f"{name + ':':<16}{amount:>8} kB\n" for name, amount in amounts.items())
