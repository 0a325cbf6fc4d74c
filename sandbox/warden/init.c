/* The guest's first process. It starts what the warden asks for, under the filter, and reaps. The package can see it
 * as process 1 but not signal, read or write it: it is undumpable and the kernel shields process 1. It runs in a user
 * namespace of its own, in which only the guest's user exists. */
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUEST 1000

struct request {
    uint32_t id, argc, envc;
    uint64_t file_size, memory;
    uint32_t processes, open_files, traced;
} __attribute__((packed));

static struct {
    pid_t pid;
    uint32_t id;
} children[MAX_SPAWNS];

static void report(int fd, uint32_t kind, uint32_t id, int32_t value) {
    int32_t message[3] = {(int32_t)kind, (int32_t)id, value};
    while (send(fd, message, sizeof message, MSG_NOSIGNAL) < 0 && errno == EINTR) {}
}

static void drop_everything(void) {
    for (int cap = 0; cap <= 63; cap++) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (contained && (setgroups(0, NULL) || setresgid(GUEST, GUEST, GUEST) || setresuid(GUEST, GUEST, GUEST)))
        _exit(125);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    if (syscall(__NR_capset, &header, none) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) _exit(125);
}

static void limit(int what, uint64_t value) {
    struct rlimit both = {.rlim_cur = value, .rlim_max = value};
    struct rlimit now;
    if (getrlimit(what, &now) == 0 && now.rlim_max < value) both.rlim_cur = both.rlim_max = now.rlim_max;
    setrlimit(what, &both);
}

/* Where memory runs out, the kernel takes the guest's processes before anybody else's. */
static void die_first(void) {
    int adjust = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (adjust >= 0) {
        if (write(adjust, "1000", 4) < 0) {}
        close(adjust);
    }
}

static void __attribute__((noreturn)) child(const struct request *r, char *blob, int control, int out, int err) {
    static char *argv[4096], *envp[1024];
    char *cwd = blob, *at = blob + strlen(blob) + 1;
    uint32_t argc = 0, envc = 0;
    for (; argc < r->argc; at += strlen(at) + 1) argv[argc++] = at;
    for (; envc < r->envc; at += strlen(at) + 1) envp[envc++] = at;
    int null = open("/dev/null", O_RDWR);
    if (dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(125);
    if (control != 3 && dup2(control, 3) < 0) _exit(125);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    syscall(__NR_close_range, 4u, ~0u, 0u);
    setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL); /* what we ignore is ours alone */
    int32_t failed;
    if (chdir(cwd)) {
        failed = -errno;
        if (write(3, &failed, sizeof failed) < 0) {}
        _exit(125);
    }
    limit(RLIMIT_CORE, 0);
    if (contained) die_first();
    limit(RLIMIT_FSIZE, r->file_size);
    limit(RLIMIT_DATA, r->memory);
    if (!contained) limit(RLIMIT_NPROC, r->processes); /* it counts by user, whose number is the host's there too */
    limit(RLIMIT_NOFILE, r->open_files);
    umask(022);
    drop_everything();
    int32_t listener = r->traced ? filter_install() : UNTRACED;
    if (listener < 0) listener = -errno;
    char go;
    if (write(3, &listener, sizeof listener) < 0 || listener < 0 || read(3, &go, 1) != 1) _exit(125);
    if (r->traced) close(listener);
    environ = envp; /* whose PATH it is looked for in */
    execvp(argv[0], argv);
    failed = -errno;
    if (write(3, &failed, sizeof failed) < 0) {}
    _exit(127);
}

static void start(int fd, char *message, size_t size, const int *fds) {
    struct request r;
    memcpy(&r, message, sizeof r);
    message[size] = 0;
    /* The host is trusted, but a cut message must not run past its end. */
    uint32_t strings = 0;
    for (size_t i = sizeof r; i < size; i++) strings += message[i] == 0;
    if (r.argc == 0 || r.argc > 4000 || r.envc > 1000 || strings < 1 + r.argc + r.envc) {
        report(fd, W_EXITED, r.id, 125 << 8);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) child(&r, message + sizeof r, fds[0], fds[1], fds[2]);
    if (pid < 0) {
        report(fd, W_EXITED, r.id, 125 << 8);
        return;
    }
    for (size_t i = 0; i < MAX_SPAWNS; i++)
        if (!children[i].pid) {
            children[i].pid = pid;
            children[i].id = r.id;
            break;
        }
    report(fd, W_SPAWNED, r.id, pid);
}

static void receive(int fd) {
    static char message[160 << 10];
    char control[CMSG_SPACE(3 * sizeof(int))] __attribute__((aligned(8)));
    struct iovec iov = {message, sizeof message - 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    if (n == 0) _exit(0);
    if (n < 0) return;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(3 * sizeof(int))) return;
    int fds[3];
    memcpy(fds, CMSG_DATA(c), sizeof fds);
    if ((size_t)n >= sizeof(struct request)) start(fd, message, (size_t)n, fds);
    for (int i = 0; i < 3; i++) close(fds[i]);
}

static void reap(int fd) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < MAX_SPAWNS; i++)
            if (children[i].pid == pid) {
                children[i].pid = 0;
                report(fd, W_EXITED, children[i].id, status);
            }
}

/* In a container: root still, for its children must become the guest's user, and with no more than that takes. */
static void keep_little(int fd) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    uint32_t kept = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_SETPCAP | 1u << CAP_DAC_OVERRIDE;
    struct __user_cap_data_struct data[2] = {{.effective = kept, .permitted = kept}};
    if (syscall(__NR_capset, &header, data)) _exit(121);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    char byte = 'u';
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) _exit(122);
}

/* Becomes the guest's user in a fresh user namespace; the warden, outside, writes the maps. */
static void become_guest(int fd) {
    if (contained) return keep_little(fd);
    if (unshare(CLONE_NEWUSER)) _exit(121);
    char byte = 'u';
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) _exit(122);
    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (syscall(__NR_setresgid, GUEST, GUEST, GUEST) || syscall(__NR_setresuid, GUEST, GUEST, GUEST)) _exit(123);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* What `ps` shows of this process: the text of its arguments, up to `end`. */
void retitle(char *first, char *end, const char *title) {
    memset(first, 0, (size_t)(end - first));
    snprintf(first, (size_t)(end - first), "%s", title);
}

int init_main(int fd) {
    if (!contained) die_first();
    become_guest(fd);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_NAME, "systemd", 0, 0, 0);
    sigset_t mask;
    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) _exit(124);
    for (;;) {
        struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        if (poll(p, 2, -1) < 0) continue;
        if (p[1].revents) {
            struct signalfd_siginfo info;
            while (read(signals, &info, sizeof info) > 0) {}
            reap(fd);
        }
        if (p[0].revents & POLLIN) receive(fd);
        else if (p[0].revents) _exit(0);
    }
}
