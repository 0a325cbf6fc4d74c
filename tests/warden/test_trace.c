#include "trace.c"

#include "check.h"

#include <sys/mman.h>

static struct seccomp_notif call(int nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4) {
    struct seccomp_notif n = {.pid = (uint32_t)getpid(), .data = {.nr = nr, .arch = NATIVE_ARCH,
                              .args = {a0, a1, a2, a3, a4}}};
    return n;
}

#define AT(pointer) ((uint64_t)(uintptr_t)(pointer))

static char *edge; /* the last byte before a page that cannot be read, plus one */

static void make_edge(void) {
    char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && mprotect(pages + 8192, 4096, PROT_NONE) == 0);
    memset(pages, 'a', 8192);
    edge = pages + 8192;
}

static void strings_are_read_to_their_end(void) {
    char text[4097];
    pid_t self = getpid();
    CHECK(guest_string(self, AT("/etc/passwd"), text, sizeof text) == 11 && !memcmp(text, "/etc/passwd", 11));
    CHECK(guest_string(self, AT(""), text, sizeof text) == 0);
    CHECK(guest_string(self, 0, text, sizeof text) == -1);
    CHECK(guest_string(self, AT(edge), text, sizeof text) == -1);
    CHECK(guest_string(self, AT(edge - 10), text, sizeof text) == 10); /* no end, then nothing */
    edge[-1] = 0;
    CHECK(guest_string(self, AT(edge - 10), text, sizeof text) == 9);
    CHECK(guest_string(self, AT(edge - 5000), text, sizeof text) == 4096); /* cut */
    CHECK(guest_string(self, AT(edge - 4097), text, sizeof text) == 4096 && text[4095] == 'a');
    CHECK(guest_string(self, AT(edge - 300), text, sizeof text) == 299);
    edge[-1] = 'a';
    CHECK(guest_string(self, UINT64_MAX - 2, text, sizeof text) == -1);
}

static const struct seen *path_of(struct seccomp_notif n) {
    struct seccomp_notif_resp answer = {0};
    frame_begin(W_CALL, 1);
    look(-1, &n, getpid(), &answer);
    frame_end();
    return host_expects(W_CALL, 1);
}

static void paths_and_where_they_start(void) {
    size_t size;
    CHECK(chdir("/tmp") == 0);
    const struct seen *f = path_of(call(__NR_openat, (uint64_t)AT_FDCWD, AT("x"), 0, 0, 0));
    const uint8_t *text = string_of(f, 0, S_BASE, &size);
    CHECK(text && size >= 4 && !memcmp(text, "/tmp", 4));
    f = path_of(call(__NR_openat, (uint64_t)AT_FDCWD, AT("/x"), 0, 0, 0));
    CHECK(string_of(f, 0, S_PATH, &size) && !string_of(f, 0, S_BASE, &size));
    int fd = open("/usr", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f = path_of(call(__NR_openat, (uint64_t)fd, AT("y"), 0, 0, 0));
    text = string_of(f, 0, S_BASE, &size);
    CHECK(text && size == 4 && !memcmp(text, "/usr", 4));
    close(fd);
    f = path_of(call(__NR_openat, 99999, AT("y"), 0, 0, 0)); /* no such descriptor: no base */
    CHECK(!string_of(f, 0, S_BASE, &size));
    f = path_of(call(__NR_openat, 99999, 1, 0, 0, 0)); /* no such address */
    CHECK(!string_of(f, 0, S_PATH, &size) && string_of(f, 0, S_CUT, &size) && size == 10);
    f = path_of(call(__NR_renameat2, (uint64_t)AT_FDCWD, AT("/a"), (uint64_t)AT_FDCWD, AT("b"), 0));
    CHECK(string_of(f, 0, S_PATH, &size) && string_of(f, 0, S_PATH2, &size) && string_of(f, 0, S_BASE2, &size));
    f = path_of(call(__NR_symlinkat, AT("target"), (uint64_t)AT_FDCWD, AT("/link"), 0, 0));
    text = string_of(f, 0, S_PATH, &size);
    CHECK(size == 5 && !memcmp(text, "/link", 5));
    text = string_of(f, 0, S_PATH2, &size);
    CHECK(size == 6 && !memcmp(text, "target", 6) && !string_of(f, 0, S_BASE2, &size));
}

static size_t count_arguments(const struct seen *f, bool *cut) {
    size_t count = 0;
    *cut = false;
    for (size_t at = 0; at < f->size; at += 3 + (f->data[at + 1] | (size_t)f->data[at + 2] << 8)) {
        count += f->data[at] == S_ARGUMENT;
        *cut |= f->data[at] == S_CUT;
    }
    return count;
}

static void arguments(void) {
    bool cut;
    const char *two[] = {"node", "x", NULL};
    CHECK(count_arguments(path_of(call(__NR_execve, AT("/x"), AT(two), 0, 0, 0)), &cut) == 2 && !cut);
    const char **last = (const char **)(edge - 3 * sizeof *last); /* just before an unreadable page */
    memcpy(last, two, sizeof two);
    CHECK(count_arguments(path_of(call(__NR_execve, AT("/x"), AT(last), 0, 0, 0)), &cut) == 2 && !cut);
    last[2] = "never ends";
    CHECK(count_arguments(path_of(call(__NR_execve, AT("/x"), AT(last), 0, 0, 0)), &cut) == 3);
    const char *many[100];
    for (int i = 0; i < 99; i++) many[i] = "y";
    many[99] = NULL;
    CHECK(count_arguments(path_of(call(__NR_execve, AT("/x"), AT(many), 0, 0, 0)), &cut) == MAX_ARGUMENTS && cut);
    static char big[ARGUMENT_BYTES * 2];
    memset(big, 'z', sizeof big - 1);
    const char *huge[] = {big, big, NULL};
    CHECK(count_arguments(path_of(call(__NR_execve, AT("/x"), AT(huge), 0, 0, 0)), &cut) == 1 && cut);
    CHECK(count_arguments(path_of(call(__NR_execve, AT("/x"), 0, 0, 0, 0)), &cut) == 0);
    CHECK(count_arguments(path_of(call(__NR_execveat, 5, AT("x"), AT(two), 0, 0)), &cut) == 2);
}

static bool skips(struct seccomp_notif n, uint64_t *asked) {
    size_t size;
    frame_begin(W_CALL, 2);
    bool yes = skip_sleep(&n);
    frame_end();
    const uint8_t *text = string_of(host_expects(W_CALL, 2), 0, S_TIME, &size);
    CHECK(text && size == 8);
    memcpy(asked, text, 8);
    return yes;
}

static void sleeps(void) {
    uint64_t asked;
    plan.sleep_ms = 3000;
    int64_t pair[2] = {3, 0};
    CHECK(!skips(call(__NR_nanosleep, AT(pair), 0, 0, 0, 0), &asked) && asked == 3000000000u);
    pair[1] = 1;
    CHECK(skips(call(__NR_nanosleep, AT(pair), 0, 0, 0, 0), &asked));
    pair[0] = INT64_MAX, pair[1] = 999999999;
    CHECK(skips(call(__NR_nanosleep, AT(pair), 0, 0, 0, 0), &asked) && asked > 3000000000u);
    pair[0] = -1;
    CHECK(!skips(call(__NR_nanosleep, AT(pair), 0, 0, 0, 0), &asked) && asked == 0);
    CHECK(!skips(call(__NR_nanosleep, 0, 0, 0, 0, 0), &asked) && !skips(call(__NR_nanosleep, AT(edge), 0, 0, 0, 0), &asked));
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    pair[0] = now.tv_sec + 100, pair[1] = 0;
    CHECK(skips(call(__NR_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, AT(pair), 0, 0), &asked));
    CHECK(asked > 90000000000u && asked < 101000000000u);
    pair[0] = now.tv_sec - 100;
    CHECK(!skips(call(__NR_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, AT(pair), 0, 0), &asked) && asked == 0);
    pair[0] = 10;
    CHECK(skips(call(__NR_clock_nanosleep, CLOCK_MONOTONIC, 0, AT(pair), 0, 0), &asked));
    CHECK(skips(call(__NR_ppoll, 0, 0, AT(pair), 0, 0), &asked) && skips(call(__NR_pselect6, 0, 0, 0, 0, AT(pair)), &asked));
    CHECK(!skips(call(__NR_ppoll, 0, 0, 0, 0, 0), &asked)); /* for ever: that is no sleep */
#ifdef __NR_poll
    CHECK(skips(call(__NR_poll, 0, 0, 5000, 0, 0), &asked) && asked == 5000000000u);
    CHECK(!skips(call(__NR_poll, 0, 0, (uint64_t)-1, 0, 0), &asked) && asked == 0);
    pair[0] = 0, pair[1] = 4000000; /* microseconds */
    CHECK(skips(call(__NR_select, 0, 0, 0, 0, AT(pair)), &asked) && asked == 4000000000u);
#endif
}

static int refusal(struct seccomp_notif n, uint8_t *flags) {
    struct seccomp_notif_resp answer = {0};
    frame_begin(W_CALL, 3);
    *flags = look(-1, &n, getpid(), &answer);
    frame_cancel();
    return -answer.error;
}

static void refusals(void) {
    uint8_t flags;
    static const int missing[] = {__NR_io_uring_setup, __NR_io_uring_enter, __NR_io_uring_register, __NR_userfaultfd,
                                  __NR_init_module, __NR_finit_module, __NR_kexec_load, __NR_fsopen};
    for (size_t i = 0; i < COUNT(missing); i++)
        CHECK(refusal(call(missing[i], 0, 0, 0, 0, 0), &flags) == ENOSYS && flags == CALL_DENIED);
    static const int forbidden[] = {__NR_bpf, __NR_perf_event_open, __NR_open_by_handle_at, __NR_setns, __NR_mount,
                                    __NR_pivot_root, __NR_move_mount, __NR_open_tree};
    for (size_t i = 0; i < COUNT(forbidden); i++)
        CHECK(refusal(call(forbidden[i], 0, 0, 0, 0, 0), &flags) == EPERM && flags == CALL_DENIED);
    CHECK(refusal(call(__NR_unshare, CLONE_NEWUSER, 0, 0, 0, 0), &flags) == EPERM && flags == CALL_DENIED);
    CHECK(refusal(call(__NR_unshare, CLONE_FS, 0, 0, 0, 0), &flags) == 0 && flags == CALL_CONTINUED);
    CHECK(refusal(call(__NR_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0), &flags) == EPERM);
    CHECK(refusal(call(__NR_clone, 17, 0, 0, 0, 0), &flags) == 0);
    CHECK(refusal(call(__NR_socket, AF_VSOCK, SOCK_STREAM, 0, 0, 0), &flags) == EAFNOSUPPORT);
    CHECK(refusal(call(__NR_socket, AF_PACKET, SOCK_RAW, 0, 0, 0), &flags) == EAFNOSUPPORT);
    CHECK(refusal(call(__NR_socket, AF_INET, SOCK_RAW, 1, 0, 0), &flags) == 0); /* the kernel refuses that */
    struct seccomp_notif n = call(5, 0, 0, 0, 0, 0);
    n.data.arch = AUDIT_ARCH_I386;
    CHECK(refusal(n, &flags) == ENOSYS && flags == (CALL_DENIED | CALL_FOREIGN));
    CHECK(refusal(call(0x40000000 | 2, 0, 0, 0, 0, 0), &flags) == ENOSYS && flags & CALL_FOREIGN);
}

static void addresses(void) {
    struct sockaddr_storage to;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct seccomp_notif n = call(__NR_connect, 3, 0, 0, 0, 0);
    frame_begin(W_CALL, 4);
    CHECK(read_address(&n, AT(&in), sizeof in, &to) == sizeof in && to.ss_family == AF_INET);
    CHECK(read_address(&n, AT(&in), 1, &to) == 0 && read_address(&n, 0, sizeof in, &to) == 0);
    CHECK(read_address(&n, AT(&in), 0, &to) == 0 && read_address(&n, 8, 16, &to) == 0);
    CHECK(read_address(&n, AT(edge - 10), 1u << 31, &to) == 10); /* an absurd length is cut to what is there */
    CHECK(read_address(&n, AT(edge - 200), UINT64_MAX, &to) == sizeof to);
    frame_cancel();
}

static void what_says_nothing_is_silent(void) {
    struct seccomp_notif n = call(__NR_nanosleep, 0, 0, 0, 0, 0);
    CHECK(silent(&n, 0) && !silent(&n, CALL_ANSWERED));
    n = call(__NR_prlimit64, 0, 0, 0, 0, 0);
    CHECK(silent(&n, 0));
    n = call(__NR_prlimit64, 5, 0, 0, 0, 0);
    CHECK(!silent(&n, 0));
    n = call(__NR_openat, 0, 0, 0, 0, 0);
    CHECK(!silent(&n, 0));
}

static void processors(void) {
    uint64_t mask = 0;
    struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    struct seccomp_notif n = call(__NR_sched_getaffinity, 0, sizeof mask, AT(&mask), 0, 0);
    plan.cpus = 12;
    answer_affinity(&n, &answer);
    CHECK(answer.flags == 0 && answer.val == 8 && mask == 0xfff);
    plan.cpus = 64;
    answer_affinity(&n, &answer);
    CHECK(mask == ~0ull);
    answer = (struct seccomp_notif_resp){.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    n = call(__NR_sched_getaffinity, 0, 4, AT(&mask), 0, 0);
    answer_affinity(&n, &answer);
    CHECK(answer.flags == SECCOMP_USER_NOTIF_FLAG_CONTINUE); /* too small a buffer: the kernel says so */
    n = call(__NR_sched_getaffinity, 0, 8, AT(edge), 0, 0);
    answer_affinity(&n, &answer);
    CHECK(answer.flags == SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

void test_trace(void) {
    proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_edge();
    char byte;
    if (guest_read(getpid(), AT(&plan), &byte, 1) != 1) {
        printf("trace: process_vm_readv is refused here, so most of it is not tested\n");
        refusals();
        return;
    }
    strings_are_read_to_their_end();
    paths_and_where_they_start();
    arguments();
    sleeps();
    refusals();
    addresses();
    what_says_nothing_is_silent();
    processors();
    CHECK(chdir("/") == 0);
}
