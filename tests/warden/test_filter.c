#include <unistd.h>

/* So that the program can be read without being installed here. */
static long installing(long number, ...);
#define syscall installing
#include "filter.c"
#undef syscall

#include "check.h"

#include <stdarg.h>
#include <sys/socket.h>
#include <sys/wait.h>

static bool really;

static long installing(long number, ...) {
    va_list list;
    va_start(list, number);
    long operation = va_arg(list, int), flags = (long)va_arg(list, unsigned long);
    void *program = va_arg(list, void *);
    va_end(list);
    if (really) return syscall(number, operation, flags, program);
    errno = EPERM;
    return -1;
}

/* What the kernel would do with the filter: the few instructions that it uses. */
static uint32_t decide(const struct seccomp_data *data) {
    uint32_t a = 0;
    for (size_t at = 0; at < used; at++) {
        const struct sock_filter *line = &code[at];
        uint32_t k = line->k;
        bool yes = false;
        switch (line->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            CHECK(k % 4 == 0 && k + 4 <= sizeof *data);
            memcpy(&a, (const char *)data + k, 4);
            continue;
        case BPF_ALU | BPF_AND | BPF_K: a &= k; continue;
        case BPF_RET | BPF_K: return k;
        case BPF_JMP | BPF_JEQ | BPF_K: yes = a == k; break;
        case BPF_JMP | BPF_JGE | BPF_K: yes = a >= k; break;
        case BPF_JMP | BPF_JSET | BPF_K: yes = (a & k) != 0; break;
        default: CHECK(!"an instruction that is not expected");
        }
        at += yes ? line->jt : line->jf;
    }
    CHECK(!"the filter runs past its end");
    return 0;
}

static uint32_t ask(int nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4) {
    struct seccomp_data data = {.nr = nr, .arch = NATIVE_ARCH, .args = {a0, a1, a2, a3, a4}};
    return decide(&data);
}

#define SHOWN(...) CHECK(ask(__VA_ARGS__) == SECCOMP_RET_USER_NOTIF)
#define PASSES(...) CHECK(ask(__VA_ARGS__) == SECCOMP_RET_ALLOW)

static void files_and_programs(void) {
    SHOWN(__NR_openat, 0, 0, 0, 0, 0);
    SHOWN(__NR_openat2, 0, 0, 0, 0, 0);
    SHOWN(__NR_execve, 0, 0, 0, 0, 0);
    SHOWN(__NR_execveat, 0, 0, 0, 0, 0);
    SHOWN(__NR_exit_group, 0, 0, 0, 0, 0);
    SHOWN(__NR_unlinkat, 0, 0, 0, 0, 0);
    SHOWN(__NR_memfd_create, 0, 0, 0, 0, 0);
    PASSES(__NR_read, 0, 0, 0, 0, 0);
    PASSES(__NR_write, 0, 0, 0, 0, 0);
    PASSES(__NR_close, 0, 0, 0, 0, 0);
    PASSES(__NR_mmap, 0, 0, 0, 0, 0);
    PASSES(__NR_futex, 0, 0, 0, 0, 0);
    PASSES(__NR_getpid, 0, 0, 0, 0, 0);
    SHOWN(__NR_statx, 0, 0, 0, 0, 0);
    PASSES(__NR_statx, 5, 1, AT_EMPTY_PATH, 0, 0);
    PASSES(__NR_statx, 5, 1, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, 0, 0);
    SHOWN(__NR_newfstatat, 0, 0, 0, 0, 0);
    SHOWN(__NR_newfstatat, 0, 0, 0, AT_SYMLINK_NOFOLLOW, 0);
    PASSES(__NR_newfstatat, 5, 1, 0, AT_EMPTY_PATH, 0);
#ifdef __NR_open
    SHOWN(__NR_open, 0, 0, 0, 0, 0);
    SHOWN(__NR_stat, 0, 0, 0, 0, 0);
    SHOWN(__NR_rename, 0, 0, 0, 0, 0);
#endif
}

static void processes(void) {
    PASSES(__NR_clone, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND, 0, 0, 0, 0);
    SHOWN(__NR_clone, 17 /* SIGCHLD */, 0, 0, 0, 0);
    SHOWN(__NR_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0);
    SHOWN(__NR_clone, CLONE_VFORK | CLONE_VM | 17, 0, 0, 0, 0);
    CHECK(ask(__NR_clone3, 0, 0, 0, 0, 0) == (SECCOMP_RET_ERRNO | ENOSYS));
    SHOWN(__NR_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
    SHOWN(__NR_prctl, PR_SET_SECCOMP, 2, 0, 0, 0);
    PASSES(__NR_prctl, PR_SET_NAME, 0, 0, 0, 0);
    SHOWN(__NR_ptrace, 0, 0, 0, 0, 0);
    SHOWN(__NR_kill, 1, 9, 0, 0, 0);
}

static void sockets(void) {
    PASSES(__NR_socket, AF_UNIX, SOCK_DGRAM, 0, 0, 0);
    PASSES(__NR_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, 0, 0);
    PASSES(__NR_socket, AF_INET, SOCK_DGRAM, 17, 0, 0);
    PASSES(__NR_socket, AF_INET6, SOCK_STREAM, 6, 0, 0);
    PASSES(__NR_socket, AF_INET6, SOCK_DGRAM, 0, 0, 0);
    SHOWN(__NR_socket, AF_INET, SOCK_RAW, 1, 0, 0);
    SHOWN(__NR_socket, AF_INET6, SOCK_RAW | SOCK_CLOEXEC, 58, 0, 0);
    SHOWN(__NR_socket, AF_INET, SOCK_SEQPACKET, 132, 0, 0);
    SHOWN(__NR_socket, AF_VSOCK, SOCK_STREAM, 0, 0, 0);
    SHOWN(__NR_socket, AF_PACKET, SOCK_RAW, 0, 0, 0);
    SHOWN(__NR_socket, AF_ALG, SOCK_SEQPACKET, 0, 0, 0);
    PASSES(__NR_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0 /* routes */, 0, 0);
    SHOWN(__NR_socket, AF_NETLINK, SOCK_RAW, 4 /* other sockets */, 0, 0);
    SHOWN(__NR_connect, 3, 1, 16, 0, 0);
    SHOWN(__NR_bind, 3, 1, 16, 0, 0);
    SHOWN(__NR_sendmsg, 3, 1, 0, 0, 0);
    SHOWN(__NR_sendmmsg, 3, 1, 2, 0, 0);
    PASSES(__NR_sendto, 3, 1, 2, 0, 0);
    SHOWN(__NR_sendto, 3, 1, 2, 0, 0x7f0000001000);
    SHOWN(__NR_sendto, 3, 1, 2, 0, 0x100000000); /* whose low half is 0 */
    SHOWN(__NR_sendto, 3, 1, 2, 0, 1);
}

static void sleeps(void) {
    SHOWN(__NR_nanosleep, 0, 0, 0, 0, 0);
    SHOWN(__NR_clock_nanosleep, 0, 0, 0, 0, 0);
    SHOWN(__NR_ppoll, 0, 0, 0, 0, 0);
    PASSES(__NR_ppoll, 1, 1, 0, 0, 0);
    SHOWN(__NR_pselect6, 0, 0, 0, 0, 0);
    PASSES(__NR_pselect6, 4, 0, 0, 0, 0);
#ifdef __NR_poll
    SHOWN(__NR_poll, 0, 0, 1000, 0, 0);
    PASSES(__NR_poll, 1, 1, 1000, 0, 0);
    SHOWN(__NR_select, 0, 0, 0, 0, 0);
    PASSES(__NR_select, 4, 0, 0, 0, 0);
#endif
}

static void ways_around(void) {
    SHOWN(__NR_io_uring_setup, 0, 0, 0, 0, 0);
    SHOWN(__NR_io_uring_enter, 0, 0, 0, 0, 0);
    SHOWN(__NR_bpf, 0, 0, 0, 0, 0);
    SHOWN(__NR_userfaultfd, 0, 0, 0, 0, 0);
    SHOWN(__NR_perf_event_open, 0, 0, 0, 0, 0);
    SHOWN(0x40000000 | 2, 0, 0, 0, 0, 0); /* x32 */
    SHOWN(0x40000000, 0, 0, 0, 0, 0);
    struct seccomp_data data = {.nr = __NR_read, .arch = AUDIT_ARCH_I386};
    CHECK(decide(&data) == SECCOMP_RET_USER_NOTIF);
    data.arch = AUDIT_ARCH_ARM;
    CHECK(decide(&data) == SECCOMP_RET_USER_NOTIF);
    SHOWN(-1, 0, 0, 0, 0, 0);
}

/* Every line can be reached without leaving the program, and no call is in two tables. */
static void the_program_is_whole(void) {
    CHECK(used < COUNT(code));
    for (size_t at = 0; at < used; at++)
        if (BPF_CLASS(code[at].code) == BPF_JMP) CHECK(at + 1 + code[at].jt < used && at + 1 + code[at].jf < used);
    for (size_t i = 0; i < COUNT(always); i++) {
        SHOWN(always[i].nr, 0, 0, 0, 0, 0);
        for (size_t k = 0; k < COUNT(sometimes); k++) CHECK(always[i].nr != sometimes[k].nr);
        for (size_t k = 0; k < i; k++) CHECK(always[i].nr != always[k].nr);
    }
}

/* The kernel takes it too. The child may then make no call that is shown: `exit` is not, `exit_group` is. */
static void it_can_be_installed(void) {
    int said[2], status;
    CHECK(pipe(said) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        really = true;
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        int32_t answer[2] = {filter_install(), errno};
        if (answer[0] >= 0) answer[1] = syscall(__NR_clone3, NULL, 0) == -1 ? errno : 0;
        if (write(said[1], answer, sizeof answer) < 0) {}
        syscall(__NR_exit, 0);
    }
    int32_t answer[2] = {0};
    CHECK(read(said[0], answer, sizeof answer) == sizeof answer);
    CHECK(waitpid(child, &status, 0) == child);
    close(said[0]);
    close(said[1]);
    if (answer[0] < 0) printf("filter: not installed here, error %d\n", answer[1]);
    else CHECK(answer[1] == ENOSYS);
}

static void names_are_told(void) {
    frame_begin(W_READY, 0);
    filter_names();
    frame_end();
    const struct seen *f = host_expects(W_READY, 0);
    size_t size, at = 0, count = 0;
    bool found = false;
    while (at < f->size) {
        const uint8_t *text = string_of(f, at, 0, &size);
        uint32_t nr;
        CHECK(text && size > 4);
        memcpy(&nr, text, 4);
        if (nr == __NR_openat) found = size == 4 + 6 && !memcmp(text + 4, "openat", 6);
        at += 3 + size;
        count++;
    }
    CHECK(found && count == COUNT(always) + COUNT(sometimes));
}

void test_filter(void) {
    CHECK(filter_install() == -1 && used > 50);
    files_and_programs();
    processes();
    sockets();
    sleeps();
    ways_around();
    the_program_is_whole();
    it_can_be_installed();
    names_are_told();
}
