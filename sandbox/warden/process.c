/* Who is who: what /proc says of the guest's processes, read once each, through the warden's own /proc. */
#include "warden.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TASKS 16384u
#define RECHECK_NS 2000000000u

static struct task tasks[TASKS];

ssize_t proc_read(pid_t pid, const char *name, void *buffer, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "%d/%s", pid, name);
    int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t n = read(fd, buffer, size);
    close(fd);
    return n;
}

ssize_t proc_link(pid_t pid, const char *name, char *buffer, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "%d/%s", pid, name);
    return readlinkat(proc_fd, path, buffer, size);
}

/* Parses /proc/PID/stat. The name in it is the process's own and may hold anything, brackets and newlines too: what
 * follows the last bracket is the kernel's. */
bool parse_stat(const char *text, size_t size, struct stat_line *out) {
    const char *end = text + size, *at = end;
    while (at > text && at[-1] != ')') at--;
    if (at == text || end - at < 4 || *at != ' ') return false;
    out->state = at[1];
    at += 2;
    uint64_t fields[20] = {0};
    for (unsigned i = 0; i < 19; i++) {
        if (at == end || *at++ != ' ') return false;
        if (at < end && *at == '-') at++;
        if (at == end || !isdigit((unsigned char)*at)) return false;
        uint64_t value = 0;
        while (at < end && isdigit((unsigned char)*at)) value = value * 10 + (uint64_t)(*at++ - '0');
        fields[i] = value;
    }
    out->parent = (pid_t)fields[0];
    out->group = (pid_t)fields[1];
    out->session = (pid_t)fields[2];
    out->start = fields[18];
    return true;
}

static bool read_stat(pid_t pid, struct stat_line *out) {
    char text[1024];
    ssize_t n = proc_read(pid, "stat", text, sizeof text);
    return n > 0 && parse_stat(text, (size_t)n, out);
}

static pid_t group_of(pid_t tid) {
    char text[2048];
    ssize_t n = proc_read(tid, "status", text, sizeof text - 1);
    if (n <= 0) return tid;
    text[n] = 0;
    char *at = strstr(text, "\nTgid:");
    return at ? (pid_t)strtol(at + 6, NULL, 10) : tid;
}

/* The task of a thread, made on first sight. A process number may have been used before: old entries are held
 * against the start time again. */
struct task *task_for(pid_t tid) {
    uint64_t now = now_ns();
    unsigned slot = (unsigned)tid * 2654435761u % TASKS, oldest = slot;
    struct stat_line line;
    for (unsigned i = 0; i < 16; i++) {
        struct task *t = &tasks[(slot + i) % TASKS];
        if (t->tid == tid) {
            if (now - t->checked_ns < RECHECK_NS) return t;
            t->checked_ns = now;
            if (read_stat(tid, &line) && line.start == t->start) return t;
            oldest = (slot + i) % TASKS;
            break;
        }
        if (!t->tid) {
            oldest = (slot + i) % TASKS;
            break;
        }
        if (t->checked_ns < tasks[oldest].checked_ns) oldest = (slot + i) % TASKS;
    }
    struct task *t = &tasks[oldest];
    memset(t, 0, sizeof *t);
    t->tid = tid;
    t->tgid = group_of(tid);
    t->checked_ns = now;
    t->start = read_stat(tid, &line) ? line.start : 0;
    t->stale = true;
    if (t->tgid != tid) {
        struct task *leader = task_for(t->tgid);
        t = &tasks[oldest];
        if (leader->announced && !leader->stale) t->announced = true, t->stale = false;
    }
    return t;
}

/* Tells the host who this is, if it is new or became another program since. */
void task_announce(struct task *task) {
    pid_t pid = task->tgid;
    if (task->tid != pid) {
        struct task *leader = task_for(pid);
        if (leader->announced && !leader->stale) {
            task->announced = true;
            task->stale = false;
            return;
        }
        leader->announced = true;
        leader->stale = false;
    }
    task->announced = true;
    task->stale = false;
    struct stat_line line = {0};
    static char text[8192];
    read_stat(pid, &line);
    uint32_t inside = 0; /* its number as the guest sees it: the last of NSpid */
    ssize_t n = proc_read(pid, "status", text, sizeof text - 1);
    if (n > 0) {
        text[n] = 0;
        char *at = strstr(text, "\nNSpid:"), *end = at ? strchr(at + 1, '\n') : NULL;
        while (end && end > at && end[-1] != '\t' && end[-1] != ' ') end--;
        if (end) inside = (uint32_t)strtoul(end, NULL, 10);
    }
    frame_begin(W_PROCESS, (uint32_t)pid);
    frame_u64(now_ns());
    frame_u32((uint32_t)line.parent);
    frame_u32((uint32_t)line.session);
    frame_u64(line.start);
    frame_u32(inside);
    n = proc_link(pid, "exe", text, sizeof text);
    frame_string(S_EXE, text, n > 0 ? (size_t)n : 0);
    n = proc_link(pid, "cwd", text, sizeof text);
    frame_string(S_CWD, text, n > 0 ? (size_t)n : 0);
    n = proc_read(pid, "cmdline", text, sizeof text);
    frame_string(S_ARGUMENT, text, n > 0 ? (size_t)n : 0);
    if (n == (ssize_t)sizeof text) frame_string(S_CUT, "", 0);
    frame_end();
}

/* Forgets a process that ended. Its threads' entries are held against their start times when next met. */
void task_forget(pid_t tgid) {
    unsigned slot = (unsigned)tgid * 2654435761u % TASKS;
    for (unsigned i = 0; i < 16; i++) {
        struct task *t = &tasks[(slot + i) % TASKS];
        if (t->tid == tgid) {
            t->tid = -1; /* still a used slot, so that a search goes on past it */
            t->checked_ns = 0;
        }
    }
}

/* Calls `each` for every live process of the guest but its first. */
static void each_process(void (*each)(pid_t pid, const struct stat_line *line)) {
    int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) return;
    struct stat_line first;
    bool known = read_stat(init_pid, &first);
    for (struct dirent *e; (e = readdir(dir));) {
        char *end;
        long pid = strtol(e->d_name, &end, 10);
        struct stat_line line;
        if (*end || pid <= 1 || pid == init_pid || pid == getpid() || !read_stat((pid_t)pid, &line)) continue;
        if (known && (pid == first.parent)) continue; /* bubblewrap's own */
        if (line.state == 'Z' || line.state == 'X') continue;
        each((pid_t)pid, &line);
    }
    closedir(dir);
}

/* Milliseconds after which an event loop that waits will go on by itself, as it asked the kernel; 0 where it waits for
 * ever, or for something else, or does not wait. */
static uint32_t waits(pid_t pid) {
    char text[256];
    ssize_t n = proc_read(pid, "syscall", text, sizeof text - 1);
    if (n <= 0) return 0;
    text[n] = 0;
    char *at = text;
    long call = strtol(at, &at, 10); /* "running" is 0, and no call that waits */
    uint64_t args[6] = {0};
    for (unsigned i = 0; i < 6 && *at == ' '; i++) args[i] = strtoull(at, &at, 16);
    uint64_t asked = 0;
    switch (call) {
#ifdef __NR_epoll_wait
    case __NR_epoll_wait: asked = args[3]; break;
#endif
#ifdef __NR_poll
    case __NR_poll: asked = args[2]; break;
#endif
    case __NR_epoll_pwait: asked = args[3]; break;
    default: break;
    }
    return (int32_t)(uint32_t)asked > 0 ? (uint32_t)asked : 0;
}

static uint32_t alive;

static void tell(pid_t pid, const struct stat_line *line) {
    static char text[4096];
    (void)line;
    if (alive++ >= 64 || !frame_fits(sizeof text + 1100)) return;
    frame_u32((uint32_t)pid);
    ssize_t n = proc_link(pid, "exe", text, sizeof text);
    frame_string(S_EXE, text, n > 0 ? (size_t)n : 0);
    n = proc_read(pid, "cmdline", text, 1024);
    frame_string(S_ARGUMENT, text, n > 0 ? (size_t)n : 0);
    frame_u32(waits(pid));
}

/* Who of the guest is still alive: up to 64 by name, and the count. */
void survey(uint32_t id) {
    alive = 0;
    frame_begin(W_SURVEYED, id);
    each_process(tell);
    frame_u32(alive);
    frame_end();
}

static pid_t session_to_stop;

static void stop_one(pid_t pid, const struct stat_line *line) {
    if (line->session == session_to_stop) kill(pid, SIGKILL);
}

/* Kills a phase's session, twice: what was forked meanwhile is caught by the second pass. */
void stop_session(pid_t session) {
    session_to_stop = session;
    each_process(stop_one);
    each_process(stop_one);
}

static uint64_t pages, most_shared;

static void add_memory(pid_t pid, const struct stat_line *line) {
    char text[128];
    (void)line;
    ssize_t n = proc_read(pid, "statm", text, sizeof text - 1);
    if (n <= 0) return;
    text[n] = 0;
    unsigned long size, resident, shared;
    if (sscanf(text, "%lu %lu %lu", &size, &resident, &shared) != 3) return;
    pages += resident - shared;
    if (shared > most_shared) most_shared = shared;
}

/* Bytes of private memory of all the guest's processes and of the warden (what it holds for slow readers), and the
 * shared memory of the one that has most: who shares with whom is not known, and libraries are shared by all. */
uint64_t memory_used(void) {
    pages = most_shared = 0;
    each_process(add_memory);
    add_memory(getpid(), NULL);
    return (pages + most_shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}
