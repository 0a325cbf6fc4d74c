/* How the warden begins in a container that somebody else made (`warden container`, as its process 1): its namespaces
 * are there already, and the host is at the other end of stdin and stdout. Process 1 becomes the guest's first process;
 * its child supervises. The package is another user than both, without capabilities: it can see that they are there,
 * and can neither signal, trace nor read them. */
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAP(name) (1u << (name))
/* chown, fowner, dac_override: planting for another user, and reading it back. ptrace: what calls point to, and whose
 * sockets they are made on. kill: the end of a phase. net_bind_service: to answer on ports below 1024. */
#define KEPT (CAP(CAP_CHOWN) | CAP(CAP_FOWNER) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_SYS_PTRACE) | CAP(CAP_KILL) | \
              CAP(CAP_NET_BIND_SERVICE))

/* SYS_ADMIN is there only so that the runtime's own filter shows the package's mounts and namespaces to ours: nothing
 * here is ever done with it. */
static void give_up_admin(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(__NR_capget, &header, data)) die("reading capabilities");
    data[0].effective &= ~CAP(CAP_SYS_ADMIN);
    data[0].permitted &= ~CAP(CAP_SYS_ADMIN);
    data[0].inheritable = data[1].inheritable = 0;
    if (syscall(__NR_capset, &header, data) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        die("giving up capabilities");
}

static void keep_only(uint32_t kept) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = kept, .permitted = kept}};
    if (syscall(__NR_capset, &header, data)) die("giving up capabilities");
}

/* The stream's ends, out of the way of the guest's own stdin and stdout. */
static int taken_away(int fd, int flags) {
    int away = fcntl(fd, F_DUPFD_CLOEXEC, 10), null = open("/dev/null", flags | O_CLOEXEC);
    if (away < 0 || null < 0 || dup2(null, fd) < 0) die("the stream to the host");
    close(null);
    return away;
}

void container_main(char *first, char *end) {
    contained = true;
    give_up_admin();
    umask(022);
    signal(SIGPIPE, SIG_IGN);
    int from_host = taken_away(0, O_RDONLY), to_host = taken_away(1, O_WRONLY);
    out_open(from_host, to_host);
    errno = EPERM;
    if (getpid() != 1) die("not the first process of a container");
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    net_up();
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) die("socketpair");
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child > 0) {
        close(from_host);
        close(to_host);
        close(pair[0]);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null >= 0) dup2(null, 2);
        retitle(first, end, "/sbin/init");
        _exit(init_main(pair[1]));
    }
    close(pair[1]);
    retitle(first, end, "/lib/systemd/systemd-journald");
    prctl(PR_SET_NAME, "systemd-journal", 0, 0, 0);
    keep_only(KEPT);
    init_fd = pair[0];
    init_pid = 1;
    guest_uid = 1000;
    proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char byte;
    if (proc_fd < 0 || read(init_fd, &byte, 1) != 1 || write(init_fd, "m", 1) != 1)
        die("the guest's first process is gone");
    supervise(from_host, to_host);
}
