#include "process.c"

#include "check.h"

#include <sys/stat.h>

#define REST " S 11 12 13 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654321 10000 200 18446744073709551615"

static bool parses(const char *text, struct stat_line *out) {
    size_t size = strlen(text);
    char *exact = malloc(size); /* so that one byte too far is seen */
    memcpy(exact, text, size);
    bool yes = parse_stat(exact, size, out);
    free(exact);
    return yes;
}

static void names_may_hold_anything(void) {
    static const char *names[] = {"node", "", ")", "(", ") S 1 1 1 0 0", "a b", "((", "))))", "a)\nS 99 99 99", "\xff\xfe"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[512];
        struct stat_line line = {0};
        snprintf(text, sizeof text, "42 (%s)" REST, names[i]);
        CHECK(parses(text, &line));
        CHECK(line.state == 'S' && line.parent == 11 && line.group == 12 && line.session == 13);
        CHECK(line.start == 987654321);
    }
}

static void what_is_cut_is_refused(void) {
    static const char whole[] = "42 (x)" REST;
    struct stat_line line;
    const char *start = strstr(whole, "987654321");
    for (size_t size = 0; size < (size_t)(start - whole); size++) {
        char text[sizeof whole];
        memcpy(text, whole, size);
        text[size] = 0;
        CHECK(!parses(text, &line));
    }
    static const char *bad[] = {"", ")", "42", "42 (x) S", "42 (x)S 1 2 3", "42 (x) S a b c", "42 (x) S  1 2",
                                "42 (x) S - 1", "1 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!parses(bad[i], &line));
    CHECK(parses("1 (a) S -1 -2 -3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 99999999999999999999999999", &line));
}

static void put(const char *folder, int pid, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%d", folder, pid);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/%d/%s", folder, pid, name);
    FILE *file = fopen(path, "w");
    CHECK(file);
    fputs(text, file);
    fclose(file);
}

static void put_link(const char *folder, int pid, const char *name, const char *target) {
    char path[256];
    snprintf(path, sizeof path, "%s/%d/%s", folder, pid, name);
    CHECK(symlink(target, path) == 0);
}

static void processes_are_told_of(void) {
    const char *folder = temporary_folder();
    proc_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    init_pid = 500;
    put(folder, 500, "stat", "500 (systemd) S 499 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 5 0");
    put(folder, 499, "stat", "499 (bwrap) S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 5 0");
    put(folder, 510, "stat", "510 (a) b) S 500 510 510 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 77 0");
    put(folder, 510, "status", "Name:\ta) b\nTgid:\t510\nNSpid:\t510\t12\t3\nVmPeak:\t1\n");
    put(folder, 510, "statm", "100 50 20 1 1 1 1\n");
    put(folder, 511, "stat", "511 (t) S 500 510 510 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 77 0");
    put(folder, 511, "status", "Name:\tt\nTgid:\t510\n");
    put(folder, 512, "stat", "512 (z) Z 500 510 510 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 78 0");
    put(folder, 513, "statm", "nonsense");
    put_link(folder, 510, "exe", "/usr/bin/x");
    put_link(folder, 510, "cwd", "/home");
    put(folder, 510, "cmdline", "x");

    struct task *task = task_for(511); /* a thread: its process is told of */
    CHECK(task->tid == 511 && task->tgid == 510 && !task->announced);
    task_announce(task);
    const struct seen *f = host_expects(W_PROCESS, 510);
    uint32_t parent, session, inside;
    uint64_t start;
    memcpy(&parent, f->data + 8, 4);
    memcpy(&session, f->data + 12, 4);
    memcpy(&start, f->data + 16, 8);
    memcpy(&inside, f->data + 24, 4);
    CHECK(parent == 500 && session == 510 && start == 77 && inside == 3);
    size_t size;
    const uint8_t *exe = string_of(f, 28, S_EXE, &size);
    CHECK(exe && size == 10 && !memcmp(exe, "/usr/bin/x", 10));
    CHECK(string_of(f, 28, S_ARGUMENT, &size) && size == 1);
    CHECK(task_for(510)->announced && !task_for(510)->stale && task_for(511) == task);
    task_forget(510);
    CHECK(!task_for(510)->announced); /* the number is somebody else's now */
    CHECK(!task_for(9999)->announced && task_for(9999)->tgid == 9999); /* gone before we looked */

    survey(4);
    f = host_expects(W_SURVEYED, 4); /* two: not the first process, not bubblewrap's, no zombie */
    uint32_t alive_now;
    memcpy(&alive_now, f->data + f->size - 4, 4);
    CHECK(alive_now == 2);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    CHECK(memory_used() == (30 + 20) * page);
}

static void what_an_event_loop_waits_for_is_read(void) {
    proc_fd = open(temporary_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(waits(600) == 0); /* there is none */
    char folder[64], text[256];
    snprintf(folder, sizeof folder, "/proc/self/fd/%d", proc_fd);
    static const struct { const char *args; uint32_t wanted; } loops[] = {
        {"0xd 0x7ffc 0x400 0x4e20 0x0 0x8 0x7ffc 0x7f", 20000}, {"0xd 0x7ffc 0x400 0xffffffff 0x0 0x8 0x7ffc 0x7f", 0},
        {"0xd 0x7ffc 0x400 0xffffffffffffffff 0x0 0x8", 0}, {"0xd 0x7ffc 0x400 0x0", 0}, {"0xd 0x7ffc", 0}, {"", 0},
        {"0xd 0x7ffc 0x400 0x17fffffff 0x0 0x8", 0x7fffffff}, {"x y z", 0}, {"  0x1 0x1 0x1 0x9", 9},
    };
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        snprintf(text, sizeof text, "%d %s", __NR_epoll_pwait, loops[i].args);
        put(folder, 601, "syscall", text);
        CHECK(waits(601) == loops[i].wanted);
    }
    static const char *others[] = {"", "running\n", "-1 0x7ffc 0x7f", "999999999999999999999 0x1 0x2 0x3 0x4", "63 1 2 3 4 5"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        put(folder, 601, "syscall", others[i]);
        CHECK(waits(601) == 0);
    }
}

/* Sixty-four processes with the longest names there can be: the frame is whole, and says how many there are. */
static void long_names_do_not_break_a_survey(void) {
    const char *folder = temporary_folder();
    proc_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char text[4096], line[128];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (int pid = 1000; pid < 1080; pid++) {
        snprintf(line, sizeof line, "%d (x) S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 5 0", pid);
        put(folder, pid, "stat", line);
        put(folder, pid, "cmdline", text);
        put_link(folder, pid, "exe", text);
    }
    survey(5);
    const struct seen *f = host_expects(W_SURVEYED, 5);
    size_t at = 0, told = 0;
    while (f->size - at > 4) {
        size_t size;
        CHECK(string_of(f, at + 4, S_EXE, &size));
        at += 4 + 3 + size;
        CHECK(string_of(f, at, S_ARGUMENT, &size));
        at += 3 + size + 4;
        told++;
    }
    uint32_t count;
    CHECK(f->size - at == 4);
    memcpy(&count, f->data + at, 4);
    CHECK(count == 80 && told > 30 && told <= 64);
}

static void many_tasks_do_not_mix(void) {
    for (pid_t pid = 2000; pid < 60000; pid++) {
        struct task *t = task_for(pid);
        CHECK(t->tid == pid && t->tgid == pid);
    }
    for (pid_t pid = 59000; pid < 60000; pid++) CHECK(task_for(pid)->tid == pid);
}

void test_process(void) {
    names_may_hold_anything();
    what_is_cut_is_refused();
    processes_are_told_of();
    what_an_event_loop_waits_for_is_read();
    long_names_do_not_break_a_survey();
    many_tasks_do_not_mix();
}
