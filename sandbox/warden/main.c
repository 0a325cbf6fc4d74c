/* How the warden begins, and its loop. `warden native HOST_FD BOOT_SECONDS GUEST_UID -- BWRAP ARGS...` makes namespaces of its own
 * (user, network, process, time), lets bubblewrap build the guest's file system inside them, and supervises from
 * outside the guest's mounts and processes. `warden init FD` is the guest's first process. `warden container` begins
 * where somebody else made the namespaces: see container.c. */
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define TICK_MS 200
#define BATCH_MS 5
#define LEAVE_FREE (256ull << 20)
#define SILENCE_NS 60000000000ull /* a host that is alive says so every few seconds (H_ALIVE) */

struct plan plan;
int epoll_fd, proc_fd, init_fd;
pid_t init_pid;
uid_t guest_uid;
bool contained;
static int host = -1, host_out = -1;
static uint64_t heard_ns; /* when the host last sent anything */

void watch_fd(int fd, uint32_t kind, uint32_t index, uint32_t events) {
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)kind << 32 | index};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e)) die("epoll");
}

void change_fd(int fd, uint32_t kind, uint32_t index, uint32_t events) {
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)kind << 32 | index};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &e);
}

static void put_text(const char *path, const char *text, const char *what) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) die(what);
    close(fd);
}

/* Maps users 0 and, for root, 1000 of the process's new user namespace. Written from outside it, as the kernel asks. */
static void map_users(pid_t pid, uid_t uid, gid_t gid, uid_t extra) {
    char path[64], map[128];
    snprintf(path, sizeof path, "/proc/%d/setgroups", pid);
    put_text(path, "deny", "setgroups");
    snprintf(map, sizeof map, extra ? "0 %u 1\n1000 %u 1\n" : "0 %u 1\n", uid, extra);
    snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
    put_text(path, map, "uid_map");
    snprintf(map, sizeof map, extra ? "0 %u 1\n1000 %u 1\n" : "0 %u 1\n", gid, extra);
    snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
    put_text(path, map, "gid_map");
}

/* Leaves the host's namespaces; the child that returns is process 1 of the new ones. */
static void enter_namespaces(const char *boot_seconds, uid_t extra) {
    int ready[2], mapped[2];
    char byte = 0;
    if (pipe2(ready, O_CLOEXEC) || pipe2(mapped, O_CLOEXEC)) die("pipe");
    uid_t uid = geteuid();
    gid_t gid = getegid();
    pid_t self = getpid(), helper = fork();
    if (helper < 0) die("fork");
    if (helper == 0) { /* stays in the old user namespace, to write the maps */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[1]); /* or it would wait for itself */
        close(mapped[0]);
        if (read(ready[0], &byte, 1) != 1) _exit(1);
        map_users(self, uid, gid, extra);
        if (write(mapped[1], "m", 1) != 1) _exit(1);
        _exit(0);
    }
    close(ready[0]);
    close(mapped[1]);
    if (unshare(CLONE_NEWUSER)) die("a user namespace was refused");
    if (write(ready[1], "r", 1) != 1 || read(mapped[0], &byte, 1) != 1) die("the user maps were refused");
    waitpid(helper, NULL, 0);
    close(ready[1]);
    close(mapped[0]);
    if (unshare(CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC)) die("namespaces were refused");
    if (strcmp(boot_seconds, "0") && unshare(CLONE_NEWTIME) == 0) {
        char offset[128];
        snprintf(offset, sizeof offset, "monotonic %s 0\nboottime %s 0\n", boot_seconds, boot_seconds);
        put_text("/proc/self/timens_offsets", offset, "the time namespace");
    }
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child > 0) {
        int status;
        close(host);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 112);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
        die("a /proc of its own (is /proc masked here?)");
}

static void start_bubblewrap(char **argv) {
    int pair[2], one = 1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) die("socketpair");
    setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
    int self = open("/proc/self/exe", O_RDONLY);
    if (self < 0) die("/proc/self/exe");
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
        char exe[32], fd[16];
        snprintf(exe, sizeof exe, "/proc/self/fd/%d", self);
        int keep = dup(pair[1]); /* without close-on-exec */
        snprintf(fd, sizeof fd, "%d", keep);
        int count = 0;
        while (argv[count]) count++;
        char **all = calloc((size_t)count + 6, sizeof *all);
        memcpy(all, argv, (size_t)count * sizeof *all);
        all[count] = "--";
        all[count + 1] = exe;
        all[count + 2] = "init";
        all[count + 3] = fd;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execv(all[0], all);
        die("bubblewrap");
    }
    close(pair[1]);
    close(self);
    init_fd = pair[0];
}

/* Meets the guest's first process: learns its number, writes its user map, joins its mounts. */
static void meet_init(uid_t extra) {
    char byte, path[64], control[CMSG_SPACE(sizeof(struct ucred))] __attribute__((aligned(8)));
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct pollfd p = {.fd = init_fd, .events = POLLIN};
    errno = ETIMEDOUT;
    if (poll(&p, 1, 10000) != 1) die("bubblewrap did not make the guest in time");
    errno = EPIPE;
    if (recvmsg(init_fd, &m, MSG_CMSG_CLOEXEC) != 1) die("bubblewrap could not make the guest");
    struct ucred who;
    memcpy(&who, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof who);
    init_pid = who.pid;
    guest_uid = extra ? 1000 : 0;
    char map[64];
    snprintf(map, sizeof map, "1000 %u 1\n", guest_uid);
    const char *files[] = {"setgroups", "uid_map", "gid_map"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", init_pid, files[i]);
        put_text(path, i ? map : "deny", "the guest's user map");
    }
    proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", init_pid);
    int mounts = open(path, O_RDONLY | O_CLOEXEC);
    if (proc_fd < 0 || mounts < 0 || setns(mounts, CLONE_NEWNS)) die("joining the guest's mounts");
    close(mounts);
    if (write(init_fd, "m", 1) != 1) die("the guest's first process is gone");
}

static void handle(uint32_t kind, uint32_t id, uint8_t *data, uint32_t size) {
    switch (kind) {
    case H_PLAN:
        if (size == sizeof plan) memcpy(&plan, data, sizeof plan);
        break;
    case H_PUT: plant_put(data, size); break;
    case H_SEAL: plant_seal(); frame(W_READY, id, NULL, 0); break;
    case H_WATCH: plant_watch(id, data, size); break;
    case H_SPAWN: spawn_start(id, data, size); break;
    case H_STOP: spawn_stop(id); break;
    case H_DATA: connection_data(id, data, size); break;
    case H_FINISH: connection_finish(id); break;
    case H_RESET: connection_reset(id); break;
    case H_DATAGRAM: datagram_reply(data, size); break;
    case H_LIST: plant_list(id, data, size); break;
    case H_READ: plant_read(id, data, size); break;
    case H_SURVEY: witness_ready(); survey(id); break;
    case H_HOLD: connection_hold(id, true); break;
    case H_TAKE: connection_hold(id, false); break;
    case H_LOOPBACK: net_plan_loopback((uint16_t)id); break;
    case H_LISTEN: net_listen((uint16_t)id); break;
    case H_ALIVE: break;
    case H_END:
        kill(init_pid, SIGKILL);
        witness_ready();
        frame(W_ENDED, id, NULL, 0);
        out_flush();
        _exit(0);
    default: break;
    }
}

/* A guest that eats the machine is ended, and that is said. */
static void check_memory(void) {
    uint64_t used = memory_used();
    unsigned long available = 0;
    char text[512];
    int fd = openat(proc_fd, "meminfo", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) close(fd);
    if (n > 0) {
        text[n] = 0;
        char *at = strstr(text, "MemAvailable:");
        if (at) available = strtoul(at + 13, NULL, 10);
    }
    bool starved = available && available * 1024ull < LEAVE_FREE;
    if ((plan.memory && used > plan.memory) || starved) {
        lost("guest", starved ? "the machine ran out of memory: the guest was ended"
                              : "the guest used more memory than it may: it was ended", 0);
        kill(init_pid, SIGKILL);
        frame(W_ENDED, 0, NULL, 0);
        out_flush();
        _exit(0);
    }
}

static void __attribute__((noreturn)) host_gone(void) {
    kill(init_pid, SIGKILL);
    _exit(0);
}

static void dispatch(const struct epoll_event *e) {
    unsigned index = (unsigned)e->data.u64;
    switch (e->data.u64 >> 32) {
    case E_HOST:
        heard_ns = now_ns();
        if (e->events & (EPOLLIN | EPOLLHUP) && !host_read(handle)) host_gone();
        break;
    case E_HOST_OUT:
        if (e->events & (EPOLLERR | EPOLLHUP)) host_gone();
        break;
    case E_INIT: init_ready(); break;
    case E_CONTROL: control_ready(index); break;
    case E_LISTEN: listener_ready(index); break;
    case E_UDP: udp_ready(index); break;
    case E_CONNECTION: connection_ready(index, e->events); break;
    case E_WITNESS: witness_ready(); break;
    case E_STDOUT: output_ready(index, 1); break;
    case E_STDERR: output_ready(index, 2); break;
    case E_TICK: {
        uint64_t ticks;
        if (read((int)index, &ticks, sizeof ticks) > 0) check_memory();
        /* Over a network a host can be gone without the stream ending. */
        if (contained && now_ns() - heard_ns > SILENCE_NS) host_gone();
        break;
    }
    default: break;
    }
}

/* Waits for the sensors' listeners by themselves and for everything else by epoll: a waiter of poll is woken on the
 * processor of the task that made the call (see SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP), which a waiter of epoll is not. */
static void __attribute__((noreturn)) serve(void) {
    struct epoll_event events[64];
    struct pollfd waiting[1 + MAX_SPAWNS] = {{.fd = epoll_fd, .events = POLLIN}};
    bool armed = false;
    for (;;) {
        bool pending = out_pending();
        uint32_t room = pending ? EPOLLOUT : 0u;
        if (pending != armed && host_out == host) change_fd(host, E_HOST, 0, EPOLLIN | room);
        else if (pending != armed) change_fd(host_out, E_HOST_OUT, 0, room);
        armed = pending;
        nfds_t count = 1;
        unsigned spawn_of[1 + MAX_SPAWNS] = {0};
        for (unsigned i = 0; i < MAX_SPAWNS; i++)
            if (spawns[i].used && spawns[i].notify >= 0) {
                waiting[count] = (struct pollfd){.fd = spawns[i].notify, .events = POLLIN};
                spawn_of[count++] = i;
            }
        int ready = poll(waiting, count, out_waiting() && !pending ? BATCH_MS : -1);
        if (ready == 0) out_send();
        if (ready <= 0) continue;
        for (nfds_t i = 1; i < count; i++) {
            struct spawn *s = &spawns[spawn_of[i]];
            if (waiting[i].revents & POLLIN) notify_ready(spawn_of[i]);
            else if (waiting[i].revents) { /* nobody is left under this filter */
                close(s->notify);
                s->notify = -1;
                spawn_release(spawn_of[i]);
            }
        }
        if (!(waiting[0].revents & POLLIN)) continue;
        int n = epoll_wait(epoll_fd, events, 64, 0);
        for (int i = 0; i < n; i++) dispatch(&events[i]);
    }
}

/* From here on the guest's first process stands ready, and the host is told. */
void supervise(int from_host, int to_host) {
    host = from_host;
    host_out = to_host;
    heard_ns = now_ns();
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    witness_open();
    watch_fd(host, E_HOST, 0, EPOLLIN);
    if (host_out != host) watch_fd(host_out, E_HOST_OUT, 0, 0);
    watch_fd(init_fd, E_INIT, 0, EPOLLIN);
    watch_fd(witness_fd(), E_WITNESS, 0, EPOLLIN);
    int tick = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct itimerspec every = {.it_interval = {.tv_nsec = TICK_MS * 1000000}, .it_value = {.tv_nsec = TICK_MS * 1000000}};
    if (tick < 0 || timerfd_settime(tick, 0, &every, NULL)) die("timerfd");
    watch_fd(tick, E_TICK, (uint32_t)tick, EPOLLIN);
    frame_begin(W_READY, 0);
    frame_u64(now_ns());
    frame_u32((uint32_t)init_pid);
    filter_names();
    frame_end();
    serve();
}

static int native_main(int argc, char **argv) {
    if (argc < 6 || strcmp(argv[5], "--")) {
        dprintf(2, "usage: warden native HOST_FD BOOT_SECONDS GUEST_UID -- BWRAP ARGS...\n");
        return 2;
    }
    host = atoi(argv[2]);
    uid_t extra = (uid_t)strtoul(argv[4], NULL, 10);
    out_open(host, host);
    fcntl(host, F_SETFD, FD_CLOEXEC);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* Ctrl-C is the host's to handle */
    enter_namespaces(argv[3], extra);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    net_up();
    start_bubblewrap(argv + 6);
    meet_init(extra);
    supervise(host, host);
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "version")) {
        dprintf(1, "warden 1\n");
        return 0;
    }
    if (argc == 3 && !strcmp(argv[1], "init")) {
        int fd = atoi(argv[2]);
        retitle(argv[0], argv[2] + strlen(argv[2]) + 1, "/sbin/init");
        return init_main(fd);
    }
    if (argc == 2 && !strcmp(argv[1], "container")) container_main(argv[0], argv[1] + strlen(argv[1]) + 1);
    if (argc > 2 && !strcmp(argv[1], "native")) return native_main(argc, argv);
    dprintf(2, "warden is started by baitbox and is of no use alone\n");
    return 2;
}
