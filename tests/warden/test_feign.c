#include "feign.c"

#include "check.h"

#define AT(p) ((uint64_t)(uintptr_t)(p))

static struct seccomp_notif call(int nr, uint64_t a, uint64_t b, uint64_t c) {
    struct seccomp_notif n = {.pid = (uint32_t)getpid()};
    n.data.nr = nr;
    n.data.args[0] = a, n.data.args[1] = b, n.data.args[2] = c;
    return n;
}

static void what_is_said_not_to_be_there(void) {
    feign("/.absent", NULL, 0, true);
    struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    struct seccomp_notif n = call(__NR_openat, (uint64_t)AT_FDCWD, AT("/.absent"), O_RDONLY | O_CLOEXEC);
    CHECK(!feigned(-1, &n, "/.absen", &answer) && !feigned(-1, &n, "/.absent2", &answer));
    CHECK(answer.flags == SECCOMP_USER_NOTIF_FLAG_CONTINUE);
    CHECK(feigned(-1, &n, "/.absent", &answer) && answer.flags == 0 && answer.error == -ENOENT);
    n = call(__NR_faccessat, (uint64_t)AT_FDCWD, AT("/.absent"), 0);
    CHECK(feigned(-1, &n, "/.absent", &answer));
    static const int changing[] = {__NR_unlinkat, __NR_renameat2, __NR_mkdirat, __NR_execve, __NR_truncate};
    for (size_t i = 0; i < sizeof changing / sizeof *changing; i++) {
        n = call(changing[i], (uint64_t)AT_FDCWD, AT("/.absent"), 0);
        CHECK(!feigned(-1, &n, "/.absent", &answer)); /* the kernel's own answer, and its own record */
    }
}

static void only_reading_is_answered(void) {
    static const uint64_t others[] = {O_WRONLY, O_RDWR, O_WRONLY | O_CREAT, O_RDONLY | O_CREAT, O_PATH,
                                      O_RDONLY | O_DIRECTORY};
    feign("/proc/answered", (const uint8_t *)"eight", 5, false);
    struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct seccomp_notif n = call(__NR_openat, (uint64_t)AT_FDCWD, AT("/proc/answered"), others[i]);
        CHECK(!feigned(-1, &n, "/proc/answered", &answer));
    }
    struct seccomp_notif n = call(__NR_openat, (uint64_t)AT_FDCWD, AT("/proc/answered"), O_RDONLY);
    CHECK(!feigned(-1, &n, "/proc/answered", &answer)); /* no listener to give it by: the kernel goes on */
    uint64_t how[3] = {O_RDONLY};
    n = call(__NR_openat2, (uint64_t)AT_FDCWD, AT("/proc/answered"), AT(how));
    CHECK(read_flags(&n) == O_RDONLY);
    n = call(__NR_openat2, (uint64_t)AT_FDCWD, AT("/proc/answered"), 8);
    CHECK(read_flags(&n) == -1);
    CHECK(answer.flags == SECCOMP_USER_NOTIF_FLAG_CONTINUE);
    char text[8] = {0};
    CHECK(pread(all[count - 1].memory, text, sizeof text, 0) == 5 && !memcmp(text, "eight", 5));
}

static void more_than_can_be_kept_is_lost(void) {
    host_forget();
    while (count < MAX_FEIGNED) feign("/another", NULL, 0, true);
    feign("/one/more", (const uint8_t *)"x", 1, false);
    CHECK(count == MAX_FEIGNED && host_expects(W_LOST, 1));
}

void test_feign(void) {
    what_is_said_not_to_be_there();
    only_reading_is_answered();
    more_than_can_be_kept_is_lost();
}
