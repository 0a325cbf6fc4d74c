/* Runs all of the warden's unit tests. Each test file includes the source that it tests, to reach what is static. */
#include "check.h"

#include <signal.h>
#include <unistd.h>

char *temporary_folder(void) {
    static char text[64];
    snprintf(text, sizeof text, "/tmp/warden-test-XXXXXX");
    CHECK(mkdtemp(text));
    return text;
}

int main(void) {
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"frames", test_frames}, {"filter", test_filter}, {"process", test_process}, {"plant", test_plant},
        {"trace", test_trace},   {"init", test_init},     {"main", test_main},       {"net", test_net},
        {"feign", test_feign},
    };
    signal(SIGPIPE, SIG_IGN);
    host_open();
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        host_forget();
        tests[i].run();
        printf("%s: passed\n", tests[i].name);
        fflush(stdout);
    }
    return 0;
}
