/* The syscall sensor: takes each notification, copies what its arguments point to, and answers. */
#include "warden.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#else
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif
#define MAX_ARGUMENTS 64
#define MAX_MESSAGES 1024u /* as many as the kernel sends in one call */
#define ARGUMENT_BYTES 8192u
#define NO -1
#define CWD -2

/* Where a call keeps its paths: argument numbers of (directory, path, second directory, second path). */
static const struct layout {
    int nr;
    int8_t dir, path, dir2, path2;
} layouts[] = {
#ifdef __NR_open
    {__NR_open, CWD, 0, NO, NO}, {__NR_creat, CWD, 0, NO, NO}, {__NR_stat, CWD, 0, NO, NO},
    {__NR_lstat, CWD, 0, NO, NO}, {__NR_access, CWD, 0, NO, NO}, {__NR_readlink, CWD, 0, NO, NO},
    {__NR_rename, CWD, 0, CWD, 1}, {__NR_unlink, CWD, 0, NO, NO}, {__NR_rmdir, CWD, 0, NO, NO},
    {__NR_link, CWD, 0, CWD, 1}, {__NR_symlink, CWD, 1, NO, 0}, {__NR_chmod, CWD, 0, NO, NO},
    {__NR_chown, CWD, 0, NO, NO}, {__NR_lchown, CWD, 0, NO, NO}, {__NR_mkdir, CWD, 0, NO, NO},
    {__NR_mknod, CWD, 0, NO, NO}, {__NR_utime, CWD, 0, NO, NO}, {__NR_utimes, CWD, 0, NO, NO},
    {__NR_futimesat, 0, 1, NO, NO},
#endif
#ifdef __NR_newfstatat
    {__NR_newfstatat, 0, 1, NO, NO},
#endif
#ifdef __NR_renameat
    {__NR_renameat, 0, 1, 2, 3},
#endif
#ifdef __NR_faccessat2
    {__NR_faccessat2, 0, 1, NO, NO},
#endif
#ifdef __NR_openat2
    {__NR_openat2, 0, 1, NO, NO},
#endif
#ifdef __NR_fchmodat2
    {__NR_fchmodat2, 0, 1, NO, NO},
#endif
    {__NR_openat, 0, 1, NO, NO}, {__NR_statx, 0, 1, NO, NO}, {__NR_faccessat, 0, 1, NO, NO},
    {__NR_readlinkat, 0, 1, NO, NO}, {__NR_renameat2, 0, 1, 2, 3}, {__NR_unlinkat, 0, 1, NO, NO},
    {__NR_linkat, 0, 1, 2, 3}, {__NR_symlinkat, 1, 2, NO, 0}, {__NR_fchmodat, 0, 1, NO, NO},
    {__NR_fchownat, 0, 1, NO, NO}, {__NR_mkdirat, 0, 1, NO, NO}, {__NR_mknodat, 0, 1, NO, NO},
    {__NR_truncate, CWD, 0, NO, NO}, {__NR_utimensat, 0, 1, NO, NO}, {__NR_execve, CWD, 0, NO, NO},
    {__NR_execveat, 0, 1, NO, NO}, {__NR_mount, CWD, 1, NO, 0}, {__NR_umount2, CWD, 0, NO, NO},
    {__NR_pivot_root, CWD, 0, CWD, 1}, {__NR_chroot, CWD, 0, NO, NO}, {__NR_memfd_create, NO, 0, NO, NO},
    {__NR_setxattr, CWD, 0, NO, NO}, {__NR_inotify_add_watch, CWD, 1, NO, NO},
    {__NR_name_to_handle_at, 0, 1, NO, NO}, {__NR_open_tree, 0, 1, NO, NO}, {__NR_move_mount, 0, 1, 2, 3},
};

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

ssize_t guest_read(pid_t pid, uint64_t address, void *buffer, size_t size) {
    struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};
    return process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

/* Reads a string of at most size - 1 bytes; returns its length, size - 1 where it was cut, -1 where unreadable. */
ssize_t guest_string(pid_t pid, uint64_t address, char *buffer, size_t size) {
    size_t have = 0;
    while (have < size - 1) {
        size_t part = 4096 - ((address + have) & 4095);
        if (part > size - 1 - have) part = size - 1 - have;
        if (have == 0 && part > 256) part = 256; /* most paths are short */
        ssize_t n = guest_read(pid, address + have, buffer + have, part);
        if (n <= 0) return have ? (ssize_t)have : -1;
        char *end = memchr(buffer + have, 0, (size_t)n);
        if (end) return end - buffer;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

/* Adds a path, and where it is relative the folder that it is relative to; returns the path, until the next. */
static const char *add_path(const struct seccomp_notif *n, int dir, int path, uint8_t kind, uint8_t base_kind) {
    static char text[4097], base[4097];
    char link[32];
    ssize_t size = guest_string((pid_t)n->pid, n->data.args[path], text, sizeof text);
    if (size < 0) {
        frame_string(S_CUT, "unreadable", 10);
        return "";
    }
    text[size] = 0;
    frame_string(kind, text, (size_t)size);
    if (dir == NO || (size && text[0] == '/')) return text;
    int fd = dir == CWD ? AT_FDCWD : (int)n->data.args[dir];
    if (fd == AT_FDCWD) strcpy(link, "cwd");
    else snprintf(link, sizeof link, "fd/%d", fd);
    ssize_t got = proc_link((pid_t)n->pid, link, base, sizeof base - 1);
    if (got > 0) frame_string(base_kind, base, (size_t)got);
    return text;
}

static void add_arguments(const struct seccomp_notif *n, int index) {
    static char text[ARGUMENT_BYTES];
    uint64_t pointers[MAX_ARGUMENTS + 1];
    ssize_t got = guest_read((pid_t)n->pid, n->data.args[index], pointers, sizeof pointers);
    size_t total = 0;
    /* argv may end just before an unmapped page: then read it one by one. */
    size_t have = got > 0 ? (size_t)got / 8 : 0;
    for (size_t i = 0; i <= MAX_ARGUMENTS; i++) {
        if (i >= have) {
            if (guest_read((pid_t)n->pid, n->data.args[index] + 8 * i, &pointers[i], 8) != 8) return;
        }
        if (!pointers[i]) return;
        if (i == MAX_ARGUMENTS || total + 64 > sizeof text) break;
        ssize_t size = guest_string((pid_t)n->pid, pointers[i], text, sizeof text - total);
        if (size < 0) return;
        frame_string(S_ARGUMENT, text, (size_t)size);
        total += (size_t)size;
    }
    frame_string(S_CUT, "arguments", 9);
}

/* Seconds asked of a sleep, as nanoseconds from now; 0 where unreadable. */
static uint64_t sleep_asked(const struct seccomp_notif *n, int index, bool microseconds) {
    int64_t pair[2];
    if (!n->data.args[index] || guest_read((pid_t)n->pid, n->data.args[index], pair, sizeof pair) != sizeof pair)
        return 0;
    if (pair[0] < 0 || pair[1] < 0) return 0;
    uint64_t seconds = pair[0] > 4000000000 ? 4000000000u : (uint64_t)pair[0];
    return seconds * 1000000000u + (uint64_t)pair[1] * (microseconds ? 1000u : 1u);
}

static bool skip_sleep(const struct seccomp_notif *n) {
    uint64_t wanted = 0;
    int nr = n->data.nr;
    if (nr == __NR_nanosleep) wanted = sleep_asked(n, 0, false);
    else if (nr == __NR_clock_nanosleep) {
        wanted = sleep_asked(n, 2, false);
        struct timespec t;
        if ((n->data.args[1] & TIMER_ABSTIME) && clock_gettime((clockid_t)n->data.args[0], &t) == 0) {
            uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
            wanted = wanted > now ? wanted - now : 0;
        }
    } else if (nr == __NR_ppoll) wanted = sleep_asked(n, 2, false);
    else if (nr == __NR_pselect6) wanted = sleep_asked(n, 4, false);
#ifdef __NR_poll
    else if (nr == __NR_poll) wanted = (int)n->data.args[2] > 0 ? (uint64_t)(int)n->data.args[2] * 1000000u : 0;
    else if (nr == __NR_select) wanted = sleep_asked(n, 4, true);
#endif
    frame_string(S_TIME, &wanted, sizeof wanted);
    return wanted > (uint64_t)plan.sleep_ms * 1000000u;
}

/* A copy of a thread's descriptor. A thread may have a table of its own, and its process's first may be gone: the
 * thread itself is asked where the kernel can (6.9). */
static int guest_fd(pid_t tid, pid_t tgid, int fd) {
    int pidfd = (int)syscall(__NR_pidfd_open, tid, PIDFD_THREAD);
    if (pidfd < 0) pidfd = (int)syscall(__NR_pidfd_open, tgid, 0);
    if (pidfd < 0) return -1;
    int copy = (int)syscall(__NR_pidfd_getfd, pidfd, fd, 0);
    close(pidfd);
    return copy;
}

static socklen_t read_address(const struct seccomp_notif *n, uint64_t at, uint64_t size,
                              struct sockaddr_storage *to) {
    memset(to, 0, sizeof *to);
    if (size > sizeof *to) size = sizeof *to;
    ssize_t got = at && size >= 2 ? guest_read((pid_t)n->pid, at, to, size) : -1;
    if (got < 2) return 0;
    frame_string(S_ADDRESS, to, (size_t)got);
    return (socklen_t)got;
}

/* connect and sendto are made by the warden on the package's own socket, with the address that was recorded: it
 * cannot be changed between the look and the call, and the local port says whose connection it is. */
static int network_call(const struct seccomp_notif *n, pid_t tgid, bool *answered) {
    struct sockaddr_storage to;
    int nr = n->data.nr, result = 0;
    if (nr == __NR_connect || nr == __NR_bind) {
        socklen_t size = read_address(n, n->data.args[1], n->data.args[2], &to);
        if (nr == __NR_bind) {
            if (size) net_before_bind(&to);
            return 0;
        }
        if (!size || (to.ss_family != AF_INET && to.ss_family != AF_INET6)) return 0;
        int fd = guest_fd((pid_t)n->pid, tgid, (int)n->data.args[0]);
        if (fd < 0) return 0;
        result = net_connect((pid_t)n->pid, tgid, fd, &to, size, answered);
        close(fd);
    } else if (nr == __NR_sendto) {
        socklen_t size = read_address(n, n->data.args[4], n->data.args[5], &to);
        if (!size || (to.ss_family != AF_INET && to.ss_family != AF_INET6)) return 0;
        int fd = guest_fd((pid_t)n->pid, tgid, (int)n->data.args[0]);
        if (fd < 0) return 0;
        result = net_send((pid_t)n->pid, tgid, fd, &to, size, n->data.args[1], n->data.args[2],
                          (int)n->data.args[3], answered);
        close(fd);
    } else {
        unsigned count = nr == __NR_sendmmsg ? (unsigned)n->data.args[2] : 1;
        if (count > MAX_MESSAGES) count = MAX_MESSAGES;
        int fd = guest_fd((pid_t)n->pid, tgid, (int)n->data.args[0]);
        for (unsigned i = 0; i < count; i++) {
            struct msghdr m;
            size_t step = nr == __NR_sendmmsg ? sizeof(struct mmsghdr) : 0;
            if (guest_read((pid_t)n->pid, n->data.args[1] + i * step, &m, sizeof m) != sizeof m) break;
            if (m.msg_name && read_address(n, (uint64_t)(uintptr_t)m.msg_name, m.msg_namelen, &to))
                net_expect(tgid, fd, &to);
        }
        if (fd >= 0) close(fd);
    }
    return result;
}

static bool refused(const struct seccomp_notif *n, int *error) {
    switch (n->data.nr) {
    case __NR_io_uring_setup: case __NR_io_uring_enter: case __NR_io_uring_register:
    case __NR_userfaultfd: case __NR_init_module: case __NR_finit_module: case __NR_delete_module:
    case __NR_kexec_load: case __NR_fsopen: case __NR_fsmount:
        *error = ENOSYS;
        return true;
    case __NR_bpf: case __NR_perf_event_open: case __NR_open_by_handle_at: case __NR_setns: case __NR_mount:
    case __NR_move_mount: case __NR_open_tree: case __NR_pivot_root:
        *error = EPERM;
        return true;
    case __NR_unshare: case __NR_clone:
        *error = EPERM;
        return (n->data.args[0] & CLONE_NEWUSER) != 0;
    case __NR_socket: {
        uint32_t family = (uint32_t)n->data.args[0], protocol = (uint32_t)n->data.args[2];
        if (family == AF_UNIX || family == AF_NETLINK) return false;
        bool inet = family == AF_INET || family == AF_INET6;
        if (inet && (n->data.args[1] & 0xf) == SOCK_RAW) return false; /* refused by the kernel itself */
        *error = inet ? EPROTONOSUPPORT : EAFNOSUPPORT;
        return !inet || (protocol != 0 && protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != 262);
    }
    default:
        return false;
    }
}

/* Copies what the call points to into the open frame, and decides. Returns the answer's flags. */
static uint8_t look(int notify, const struct seccomp_notif *n, pid_t tgid, struct seccomp_notif_resp *answer) {
    int error = 0;
    if (n->data.arch != NATIVE_ARCH || (n->data.nr & 0x40000000)) {
        answer->error = -ENOSYS;
        return CALL_DENIED | CALL_FOREIGN;
    }
    for (size_t i = 0; i < COUNT(layouts); i++)
        if (layouts[i].nr == n->data.nr) {
            const char *path = add_path(n, layouts[i].dir, layouts[i].path, S_PATH, S_BASE);
            if (feigned(notify, n, path, answer)) break;
            if (layouts[i].path2 != NO) add_path(n, layouts[i].dir2, layouts[i].path2, S_PATH2, S_BASE2);
            break;
        }
    if (refused(n, &error)) {
        answer->error = -error;
        return CALL_DENIED;
    }
    switch (n->data.nr) {
    case __NR_execve:
        add_arguments(n, 1);
        break;
    case __NR_execveat:
        add_arguments(n, 2);
        break;
#ifdef __NR_openat2
    case __NR_openat2: {
        uint64_t how[3] = {0};
        guest_read((pid_t)n->pid, n->data.args[2], how, sizeof how);
        frame_string(S_TIME, how, sizeof how);
        break;
    }
#endif
#ifdef __NR_poll
    case __NR_poll: case __NR_select:
#endif
    case __NR_nanosleep: case __NR_clock_nanosleep: case __NR_ppoll: case __NR_pselect6:
        if (skip_sleep(n)) {
            answer->flags = 0;
            return CALL_ANSWERED;
        }
        break;
    case __NR_connect: case __NR_bind: case __NR_sendto: case __NR_sendmsg: case __NR_sendmmsg: {
        bool answered = false;
        int result = network_call(n, tgid, &answered);
        if (answered) {
            answer->flags = 0;
            answer->error = result < 0 ? result : 0;
            answer->val = result < 0 ? 0 : result;
            /* What did not come about never arrives at the host's end: the call's record is all there is of it. */
            bool arrives = result >= 0 || result == -EINPROGRESS || result == -EISCONN || result == -EALREADY;
            return CALL_ANSWERED | (arrives ? 0 : CALL_DENIED);
        }
        break;
    }
    default:
        break;
    }
    return CALL_CONTINUED;
}

/* Calls that only serve other records: no frame of their own unless they say something. */
static bool silent(const struct seccomp_notif *n, uint8_t flags) {
    if (flags) return false;
    switch (n->data.nr) {
    case __NR_nanosleep: case __NR_clock_nanosleep: case __NR_ppoll: case __NR_pselect6:
#ifdef __NR_poll
    case __NR_poll: case __NR_select:
#endif
        return true;
    case __NR_prlimit64:
        return n->data.args[0] == 0; /* its own limits, or reading them */
    default:
        return false;
    }
}

static void answer_affinity(const struct seccomp_notif *n, struct seccomp_notif_resp *answer) {
    uint64_t mask = plan.cpus >= 64 ? ~0ull : (1ull << plan.cpus) - 1;
    if (!plan.cpus || n->data.args[1] < sizeof mask) return;
    struct iovec local = {&mask, sizeof mask}, remote = {(void *)(uintptr_t)n->data.args[2], sizeof mask};
    if (process_vm_writev((pid_t)n->pid, &local, 1, &remote, 1, 0) != sizeof mask) return;
    answer->flags = 0;
    answer->val = sizeof mask;
}

static void take_one(int fd) {
    struct seccomp_notif n;
    memset(&n, 0, sizeof n);
    if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n)) return;
    struct seccomp_notif_resp answer = {.id = n.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    if (n.data.arch == NATIVE_ARCH && n.data.nr == __NR_sched_getaffinity) {
        answer_affinity(&n, &answer);
        ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
        return;
    }
    struct task *task = task_for((pid_t)n.pid);
    pid_t tgid = task->tgid;
    if (!task->announced || task->stale) task_announce(task);
    frame_begin(W_CALL, (uint32_t)tgid);
    frame_u64(now_ns());
    frame_u32(n.pid);
    frame_u32((uint32_t)n.data.nr);
    frame_bytes(n.data.args, sizeof n.data.args);
    size_t flags_at = frame_mark();
    frame_u32(0);
    uint8_t flags = look(fd, &n, tgid, &answer);
    if (flags & CALL_DENIED) answer.flags = 0;
    frame_patch(flags_at, flags | (n.data.arch << 8 & 0xffffff00));
    bool stale = ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer) && errno == ENOENT && !(flags & CALL_ANSWERED);
    /* A task that died under our eyes: what we read may be another's. Its exit is what counts. */
    if (stale || silent(&n, flags)) frame_cancel();
    else frame_end();
    if (n.data.arch != NATIVE_ARCH) return;
    if (n.data.nr == __NR_exit_group) task_forget(tgid);
    if (n.data.nr == __NR_execve || n.data.nr == __NR_execveat) {
        task_for((pid_t)n.pid)->stale = true;
        task_for(tgid)->stale = true;
    }
}

/* Takes one call: another is seldom ready at once, and asking would cost as much as being told. */
void notify_ready(unsigned index) { take_one(spawns[index].notify); }
