/* The seccomp filter: which calls of the package are shown to the warden. Everything else runs at full speed; calls
 * whose answer cannot depend on arguments are cached by the kernel as allowed. */
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "the warden knows x86-64 and arm64"
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

struct call_name {
    int nr;
    const char *name;
};

#define N(name) {__NR_##name, #name}
static const struct call_name always[] = {
#ifdef __NR_open
    N(open), N(creat), N(stat), N(lstat), N(access), N(readlink), N(rename), N(unlink), N(rmdir),
    N(link), N(symlink), N(chmod), N(chown), N(lchown), N(mkdir), N(mknod), N(utime), N(utimes),
    N(futimesat), N(fork), N(vfork),
#endif
#ifdef __NR_renameat
    N(renameat),
#endif
#ifdef __NR_faccessat2
    N(faccessat2),
#endif
#ifdef __NR_openat2
    N(openat2),
#endif
#ifdef __NR_fchmodat2
    N(fchmodat2),
#endif
    N(openat), N(faccessat), N(readlinkat), N(renameat2), N(unlinkat), N(linkat),
    N(symlinkat), N(fchmodat), N(fchownat), N(mkdirat), N(mknodat), N(truncate), N(utimensat),
    N(execve), N(execveat), N(exit_group), N(setsid), N(connect), N(bind), N(sendmsg), N(sendmmsg),
    N(ptrace), N(process_vm_readv), N(process_vm_writev), N(pidfd_getfd), N(memfd_create), N(kill),
    N(pidfd_send_signal), N(mount), N(umount2), N(pivot_root), N(chroot), N(unshare), N(setns),
    N(keyctl), N(add_key), N(request_key), N(nanosleep), N(clock_nanosleep), N(open_by_handle_at),
    N(fsopen), N(fsmount), N(move_mount), N(open_tree), N(setxattr), N(settimeofday),
    N(clock_settime), N(sethostname), N(prlimit64), N(fanotify_init), N(inotify_add_watch),
    N(name_to_handle_at), N(seccomp), N(sched_getaffinity),
    /* refused by the warden, which reports it */
    N(io_uring_setup), N(io_uring_enter), N(io_uring_register), N(bpf), N(userfaultfd),
    N(perf_event_open), N(kexec_load), N(init_module), N(finit_module), N(delete_module),
};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOW(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * (n))
#define HIGH(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * (n) + 4)
#define JEQ(k, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (t), (f))
#define JSET(k, t, f) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (k), (t), (f))
#define RET(v) BPF_STMT(BPF_RET | BPF_K, (v))
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static struct sock_filter code[512];
static size_t used;
static size_t block;

static void emit(struct sock_filter line) {
    if (used < COUNT(code)) code[used++] = line;
}

#define EMIT(...) emit((struct sock_filter)__VA_ARGS__)

/* Lines between `when` and `otherwise` are for one call number only, and must end in a return. */
static void when(uint32_t nr) {
    block = used;
    EMIT(JEQ(nr, 0, 0));
}

static void otherwise(void) { code[block].jf = (uint8_t)(used - block - 1); }

/* `yes` where the low half of argument `n` equals `value`, `no` where it does not. */
static void when_equal(uint32_t nr, unsigned n, uint32_t value, uint32_t yes, uint32_t no) {
    when(nr);
    EMIT(LOW(n));
    EMIT(JEQ(value, 0, 1));
    EMIT(RET(yes));
    EMIT(RET(no));
    otherwise();
}

/* Allowed where argument `n` has the flag, shown where it has not. */
static void when_flag(uint32_t nr, unsigned n, uint32_t flag) {
    when(nr);
    EMIT(LOW(n));
    EMIT(JSET(flag, 0, 1));
    EMIT(RET(SECCOMP_RET_ALLOW));
    EMIT(RET(SECCOMP_RET_USER_NOTIF));
    otherwise();
}

static void by_argument(void) {
    const uint32_t show = SECCOMP_RET_USER_NOTIF, allow = SECCOMP_RET_ALLOW;
    /* clone3 hides its flags in memory: without it, libraries use clone, whose flags can be seen. */
    when(__NR_clone3);
    EMIT(RET(SECCOMP_RET_ERRNO | ENOSYS));
    otherwise();
    /* A new thread is no news; a new process is; a new user namespace is refused (the warden says so). */
    when(__NR_clone);
    EMIT(LOW(0));
    EMIT(JSET(CLONE_THREAD, 0, 1));
    EMIT(RET(allow));
    EMIT(RET(show));
    otherwise();
    /* What is asked of an open descriptor is no path (libraries do it after every open). */
#ifdef __NR_newfstatat
    when_flag(__NR_newfstatat, 3, AT_EMPTY_PATH);
#endif
    when_flag(__NR_statx, 2, AT_EMPTY_PATH);
    /* Ordinary families pass unless raw; netlink passes for routes only, which resolvers ask for. */
    when(__NR_socket);
    EMIT(LOW(0));
    EMIT(JEQ(AF_UNIX, 0, 1));
    EMIT(RET(allow));
    EMIT(JEQ(AF_NETLINK, 0, 4));
    EMIT(LOW(2));
    EMIT(JEQ(0, 0, 1));
    EMIT(RET(allow));
    EMIT(RET(show));
    EMIT(JEQ(AF_INET, 2, 0));
    EMIT(JEQ(AF_INET6, 1, 0));
    EMIT(RET(show));
    EMIT(LOW(1));
    EMIT(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf));
    EMIT(JEQ(SOCK_STREAM, 1, 0));
    EMIT(JEQ(SOCK_DGRAM, 0, 5));
    EMIT(LOW(2));
    EMIT(JEQ(0, 2, 0));
    EMIT(JEQ(IPPROTO_TCP, 1, 0));
    EMIT(JEQ(IPPROTO_UDP, 0, 1));
    EMIT(RET(allow));
    EMIT(JEQ(IPPROTO_MPTCP, 0, 1)); /* Go asks for it; it is accepted as TCP */
    EMIT(RET(allow));
    EMIT(RET(show));
    otherwise();
    /* sendto on a connected socket names no address. */
    when(__NR_sendto);
    EMIT(LOW(4));
    EMIT(JEQ(0, 1, 0));
    EMIT(RET(show));
    EMIT(HIGH(4));
    EMIT(JEQ(0, 1, 0));
    EMIT(RET(show));
    EMIT(RET(allow));
    otherwise();
    when(__NR_prctl);
    EMIT(LOW(0));
    EMIT(JEQ(PR_SET_DUMPABLE, 1, 0));
    EMIT(JEQ(PR_SET_SECCOMP, 0, 1));
    EMIT(RET(show));
    EMIT(RET(allow));
    otherwise();
    /* Waiting for nothing with a time limit is a sleep. */
#ifdef __NR_poll
    when_equal(__NR_poll, 1, 0, show, allow);
    when_equal(__NR_select, 0, 0, show, allow);
#endif
    when_equal(__NR_ppoll, 1, 0, show, allow);
    when_equal(__NR_pselect6, 0, 0, show, allow);
}

/* Calls that are shown or allowed by their arguments. */
static const struct call_name sometimes[] = {
#ifdef __NR_newfstatat
    N(newfstatat),
#endif
#ifdef __NR_poll
    N(poll), N(select),
#endif
    N(statx), N(clone), N(socket), N(sendto), N(prctl), N(ppoll), N(pselect6),
};

/* Tells the host what the numbers mean here, so that it needs no table for each architecture. */
void filter_names(void) {
    const struct call_name *tables[] = {always, sometimes};
    const size_t counts[] = {COUNT(always), COUNT(sometimes)};
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < counts[t]; i++) {
            char text[64];
            memcpy(text, &tables[t][i].nr, 4);
            size_t size = strlen(tables[t][i].name);
            memcpy(text + 4, tables[t][i].name, size);
            frame_string(0, text, size + 4);
        }
}

/* Installs the filter on the calling thread; returns the listener, or -1. */
int filter_install(void) {
    used = 0;
    EMIT(LOAD(arch));
    EMIT(JEQ(NATIVE_ARCH, 1, 0));
    EMIT(RET(SECCOMP_RET_USER_NOTIF)); /* int 0x80 and its like */
    EMIT(LOAD(nr));
    EMIT(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1));
    EMIT(RET(SECCOMP_RET_USER_NOTIF)); /* x32 */
    by_argument();
    for (size_t i = 0; i < COUNT(always); i++) {
        EMIT(JEQ((uint32_t)always[i].nr, 0, 1));
        EMIT(RET(SECCOMP_RET_USER_NOTIF));
    }
    EMIT(RET(SECCOMP_RET_ALLOW));
    struct sock_fprog program = {.len = (unsigned short)used, .filter = code};
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
    int fd = (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
                          &program);
    if (fd < 0 && errno == EINVAL) fd = (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    return fd;
}
