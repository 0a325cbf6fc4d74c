/* libFuzzer target: whatever the host's stream, /proc, the guest's first process or an address holds, the warden
 * reads nothing that is not there. The first byte of an input says which parser gets the rest.
 *
 * It plants files by design, so it first shuts itself into an empty folder and namespaces of its own, and ends with
 * 77 where it cannot. Crashing inputs are written there: WARDEN_FUZZ_FOLDER/crash-*. */
#include <unistd.h>

static pid_t no_fork(void) { return -1; }
#define fork no_fork
#include "frames.c"
#include "init.c"
#undef fork
#define main warden_main
#include "main.c"
#undef main
#include "trace.c"

#include <sys/mman.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int host_end, init_end;

static void write_all(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) _exit(77);
    close(fd);
}

static void shut_in(const char *folder) {
    char map[64];
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)) _exit(77);
    write_all("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1\n", uid);
    write_all("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "0 %u 1\n", gid);
    write_all("/proc/self/gid_map", map);
    if (chdir(folder) || chroot(".")) _exit(77);
    mkdir("/proc-like", 0755);
    mkdir("/proc-like/7", 0755);
    struct rlimit small = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &small);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    const char *folder = getenv("WARDEN_FUZZ_FOLDER");
    int pair[2], more[2];
    if (!folder) {
        fprintf(stderr, "WARDEN_FUZZ_FOLDER must name an empty folder\n");
        _exit(2);
    }
    shut_in(folder);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) _exit(77);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, more)) _exit(77);
    out_open(pair[0], pair[0]);
    host_end = pair[1];
    init_fd = more[0];
    init_end = more[1];
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    proc_fd = open("/proc-like", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    init_pid = 99;
    witness_open();
    net_up();
    net_listen(53);
    return 0;
}

/* Everything but the end of it all, and the kernel's mounts. */
static void handled(uint32_t kind, uint32_t id, uint8_t *data, uint32_t size) {
    if (kind == H_END || kind == H_SEAL || kind == H_LISTEN) return;
    handle(kind, id, data, size);
}

static void forget(void) {
    static uint8_t waste[256 << 10];
    out_pending();
    while (read(host_end, waste, sizeof waste) > 0) out_pending();
    while (recv(init_end, waste, sizeof waste, MSG_DONTWAIT) >= 0) {}
    out_used = out_sent = in_used = 0;
    for (unsigned i = 0; i < MAX_SPAWNS; i++) {
        if (!spawns[i].used) continue;
        close(spawns[i].control);
        close(spawns[i].out);
        close(spawns[i].err);
        spawns[i] = (struct spawn){0};
    }
}

/* The host's frames, cut into reads anywhere. */
static void stream(const uint8_t *data, size_t size) {
    while (size) {
        size_t part = 1 + data[0] % 64;
        if (part > size) part = size;
        if (write(host_end, data, part) < 0 || !host_read(handled)) return;
        data += part;
        size -= part;
    }
}

/* One frame with a payload of just its size, so that a byte too far is seen. */
static void one_frame(const uint8_t *data, size_t size) {
    if (size < 2) return;
    static const uint32_t ids[] = {0, 1, 2, 4096, 4097, 8191, 0x7fffffff, 0xffffffff};
    uint8_t *exact = malloc(size - 2 ? size - 2 : 1);
    memcpy(exact, data + 2, size - 2);
    handled(data[0] % 24, ids[data[1] % 8], exact, (uint32_t)(size - 2));
    free(exact);
}

static void stat_line(const uint8_t *data, size_t size) {
    struct stat_line line;
    char *exact = malloc(size ? size : 1);
    memcpy(exact, data, size);
    if (parse_stat(exact, size, &line) && line.state == 0 && size < 5) abort();
    free(exact);
}

/* What /proc says of a process whose name and command line are its own to choose. */
static void process_files(const uint8_t *data, size_t size) {
    static const char *names[] = {"/proc-like/7/stat", "/proc-like/7/status", "/proc-like/7/cmdline", "/proc-like/7/statm"};
    for (size_t i = 0; i < 4; i++) {
        size_t part = i == 3 || size < 2 ? size : data[0] * size / 256;
        int fd = open(names[i], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd >= 0 && write(fd, data, part) < 0) {}
        close(fd);
        data += part;
        size -= part;
    }
    task_forget(7);
    struct task *task = task_for(7);
    task_announce(task);
    survey(1);
    memory_used();
}

/* A request as the guest's first process gets it: it may start nothing that is not whole. */
static void request(const uint8_t *data, size_t size) {
    if (size < sizeof(struct request)) return;
    int fds[3] = {-1, -1, -1};
    char *message = malloc(size + 1);
    memcpy(message, data, size);
    start(init_end, message, size, fds);
    free(message);
    init_ready();
}

/* A system call with pointers to hostile memory: the end of the buffer is the end of what can be read. */
static void system_call(const uint8_t *data, size_t size) {
    static uint8_t *room;
    static const int numbers[] = {__NR_connect, __NR_bind, __NR_sendto, __NR_sendmsg, __NR_sendmmsg, __NR_execve, __NR_openat,
                                  __NR_renameat2, __NR_nanosleep, __NR_clock_nanosleep, __NR_ppoll, __NR_openat2};
    if (size < 14) return;
    if (!room) {
        room = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (room == MAP_FAILED || mprotect(room + 8192, 4096, PROT_NONE)) _exit(77);
    }
    struct seccomp_notif n = {.pid = (uint32_t)getpid(), .data = {.nr = numbers[data[0] % COUNT(numbers)], .arch = NATIVE_ARCH}};
    struct seccomp_notif_resp answer = {0};
    const uint8_t *choices = data + 1;
    data += 13;
    size -= 13;
    if (size > 8192) size = 8192;
    uint8_t *text = room + 8192 - size;
    memcpy(text, data, size);
    for (int i = 0; i < 6; i++) { /* a pointer into the text, or a small number */
        uint64_t value = choices[2 * i + 1];
        n.data.args[i] = choices[2 * i] % 4 ? (uint64_t)(uintptr_t)text + value % (size + 1) : value % 64 ? value : 1000;
    }
    n.data.args[0] = n.data.nr == __NR_connect || n.data.nr == __NR_sendto ? 1000 : n.data.args[0];
    plan.sleep_ms = 1000;
    frame_begin(W_CALL, 1);
    look(-1, &n, getpid(), &answer);
    frame_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    switch (data[0] % 7) {
    case 0: stream(data + 1, size - 1); break;
    case 1: one_frame(data + 1, size - 1); break;
    case 2: stat_line(data + 1, size - 1); break;
    case 3: process_files(data + 1, size - 1); break;
    case 4: request(data + 1, size - 1); break;
    case 5: system_call(data + 1, size - 1); break;
    default: /* what the guest's first process says */
        if (size > 1 && send(init_end, data + 1, size - 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) init_ready();
        break;
    }
    if (depth) abort();
    forget();
    return 0;
}
