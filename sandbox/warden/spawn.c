/* Starting phases: the warden asks the guest's first process, takes over the listener of the new filter, and only
 * then lets the program begin. */
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/seccomp.h>

#define OUTPUT_KEPT (64u << 10)
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

struct spawn spawns[MAX_SPAWNS];

static struct spawn *find(uint32_t id) {
    for (unsigned i = 0; i < MAX_SPAWNS; i++)
        if (spawns[i].used && spawns[i].id == id) return &spawns[i];
    return NULL;
}

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void fail(uint32_t id, int error) {
    int32_t value = error;
    frame(W_SPAWN_FAILED, id, &value, sizeof value);
}

static bool send_to_init(const uint8_t *data, uint32_t size, int fds[3]) {
    char control[CMSG_SPACE(3 * sizeof(int))] __attribute__((aligned(8)));
    memset(control, 0, sizeof control);
    struct iovec iov = {(void *)(uintptr_t)data, size};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(3 * sizeof(int));
    memcpy(CMSG_DATA(c), fds, 3 * sizeof(int));
    return sendmsg(init_fd, &m, MSG_NOSIGNAL) == (ssize_t)size;
}

void spawn_start(uint32_t id, const uint8_t *data, uint32_t size) {
    unsigned index = 0;
    while (index < MAX_SPAWNS && spawns[index].used) index++;
    int control[2], out[2], err[2];
    if (index == MAX_SPAWNS || size < 4) {
        fail(id, EAGAIN);
        return;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) || pipe2(out, O_CLOEXEC) ||
        pipe2(err, O_CLOEXEC))
        die("starting a phase");
    int one = 1;
    setsockopt(control[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    int fds[3] = {control[1], out[1], err[1]};
    bool sent = send_to_init(data, size, fds);
    for (int i = 0; i < 3; i++) close(fds[i]);
    struct spawn *s = &spawns[index];
    *s = (struct spawn){.id = id, .used = true, .control = control[0], .notify = -1, .out = out[0], .err = err[0]};
    if (!sent) {
        fail(id, EPIPE);
        close_fd(&s->control), close_fd(&s->out), close_fd(&s->err);
        s->used = false;
        return;
    }
    watch_fd(s->control, E_CONTROL, index, EPOLLIN);
    watch_fd(s->out, E_STDOUT, index, EPOLLIN);
    watch_fd(s->err, E_STDERR, index, EPOLLIN);
}

static void begin(struct spawn *s) {
    uint32_t pid = (uint32_t)s->pid;
    frame(W_SPAWNED, s->id, &pid, sizeof pid);
    if (write(s->control, "g", 1) != 1) fail(s->id, EPIPE);
}

/* The child says which descriptor its filter's listener is; the kernel says who the child is. */
void control_ready(unsigned index) {
    struct spawn *s = &spawns[index];
    int32_t value;
    char control[CMSG_SPACE(sizeof(struct ucred))] __attribute__((aligned(8)));
    struct iovec iov = {&value, sizeof value};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(s->control, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n != sizeof value) {
        close_fd(&s->control); /* the program has begun, or the child is gone: init reports the latter */
        return;
    }
    if (value < 0) {
        fail(s->id, -value);
        return;
    }
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (!c || c->cmsg_type != SCM_CREDENTIALS) die("a phase without credentials");
    struct ucred who;
    memcpy(&who, CMSG_DATA(c), sizeof who);
    s->pid = who.pid;
    if (value == UNTRACED) {
        begin(s);
        return;
    }
    int pidfd = (int)syscall(__NR_pidfd_open, who.pid, 0);
    s->notify = pidfd < 0 ? -1 : (int)syscall(__NR_pidfd_getfd, pidfd, value, 0);
    if (pidfd >= 0) close(pidfd);
    if (s->notify < 0) die("taking over the syscall sensor");
    fcntl(s->notify, F_SETFD, FD_CLOEXEC);
    ioctl(s->notify, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1ul); /* wake synchronously, where the kernel can (6.6) */
    begin(s);
}

void init_ready(void) {
    int32_t message[3];
    ssize_t n = recv(init_fd, message, sizeof message, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n == 0 || n < 0) {
        lost("guest", "the guest's first process is gone", 0);
        out_flush();
        _exit(0);
    }
    if (n != sizeof message) return;
    struct spawn *s = find((uint32_t)message[1]);
    if (!s) return;
    if (message[0] == W_SPAWNED) s->guest_pid = message[2];
    if (message[0] == W_EXITED) {
        s->exited = true;
        unsigned index = (unsigned)(s - spawns);
        output_ready(index, 1); /* what it printed and sent comes before its end */
        output_ready(index, 2);
        connections_drain();
        frame(W_EXITED, s->id, &message[2], sizeof message[2]);
        close_fd(&s->control);
        spawn_release(index);
    }
}

void output_ready(unsigned index, int stream) {
    static uint8_t text[64 << 10];
    struct spawn *s = &spawns[index];
    int *fd = stream == 1 ? &s->out : &s->err;
    uint64_t *written = &s->written[stream - 1];
    for (int i = 0; i < 16 && *fd >= 0; i++) {
        ssize_t n = read(*fd, text, sizeof text);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) {
            uint64_t total[2] = {(uint64_t)stream, *written};
            frame(W_OUTPUT_LOST, s->id, total, sizeof total);
            close_fd(fd);
            spawn_release(index);
            return;
        }
        uint64_t before = *written;
        *written += (uint64_t)n;
        if (before >= OUTPUT_KEPT) continue;
        size_t keep = OUTPUT_KEPT - before < (uint64_t)n ? OUTPUT_KEPT - before : (size_t)n;
        frame_begin(W_OUTPUT, s->id);
        frame_u32((uint32_t)stream);
        frame_bytes(text, keep);
        frame_end();
    }
}

/* A slot is free again when its program, every process under its filter, and its pipes are gone. */
void spawn_release(unsigned index) {
    struct spawn *s = &spawns[index];
    if (s->used && s->exited && s->notify < 0 && s->out < 0 && s->err < 0) {
        close_fd(&s->control);
        s->used = false;
    }
}

void spawn_stop(uint32_t id) {
    struct spawn *s = find(id);
    if (!s || !s->pid) return;
    struct stat_line line;
    char text[1024];
    ssize_t n = proc_read(s->pid, "stat", text, sizeof text);
    if (n > 0 && parse_stat(text, (size_t)n, &line)) stop_session(line.session);
    if (!s->exited) kill(s->pid, SIGKILL);
}
