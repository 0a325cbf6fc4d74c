/* Where no file system can be laid over a file (in a container that somebody else made), an open of its path is
 * answered with the persona's content, or the path is said not to be there. This serves the pretence, not the sensor:
 * the call is recorded all the same, and whoever reaches the file by another path sees the container's. */
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FEIGNED 32

static struct feigned {
    char *path;
    int memory; /* -1: not there */
} all[MAX_FEIGNED];
static unsigned count;

void feign(const char *path, const uint8_t *content, size_t size, bool absent) {
    int memory = absent || count == MAX_FEIGNED ? -1 : memfd_create("file", MFD_CLOEXEC);
    bool kept = absent || (memory >= 0 && write(memory, content, size) == (ssize_t)size);
    char *copy = kept && count < MAX_FEIGNED ? strdup(path) : NULL;
    if (!copy) {
        lost("planting", "a file of the machine that is pretended could not be kept", 1);
        if (memory >= 0) close(memory);
        return;
    }
    if (!absent) fchmod(memory, 0444);
    all[count++] = (struct feigned){.path = copy, .memory = memory};
}

/* The flags of an open, or -1 where the call is none that only reads. */
static int read_flags(const struct seccomp_notif *n) {
    uint64_t flags = 0;
    switch (n->data.nr) {
#ifdef __NR_open
    case __NR_open: flags = n->data.args[1]; break;
#endif
    case __NR_openat: flags = n->data.args[2]; break;
#ifdef __NR_openat2
    case __NR_openat2:
        if (guest_read((pid_t)n->pid, n->data.args[2], &flags, sizeof flags) != sizeof flags) return -1;
        break;
#endif
    default: return -1;
    }
    return (flags & (O_ACCMODE | O_CREAT | O_DIRECTORY | O_PATH)) == O_RDONLY ? (int)(flags & INT_MAX) : -1;
}

/* Paths that are asked about and not opened, in calls that cannot change anything. */
static bool asks(const struct seccomp_notif *n) {
    switch (n->data.nr) {
#ifdef __NR_stat
    case __NR_stat: case __NR_lstat: case __NR_access: case __NR_readlink:
#endif
#ifdef __NR_newfstatat
    case __NR_newfstatat:
#endif
#ifdef __NR_faccessat2
    case __NR_faccessat2:
#endif
    case __NR_statx: case __NR_faccessat: case __NR_readlinkat: return true;
    default: return read_flags(n) >= 0;
    }
}

/* Answers the call in place of the kernel where it is about a path that is feigned; false where it is not. */
bool feigned(int notify, const struct seccomp_notif *n, const char *path, struct seccomp_notif_resp *answer) {
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(all[i].path, path)) continue;
        if (all[i].memory < 0) {
            if (!asks(n)) return false;
            answer->flags = 0;
            answer->error = -ENOENT;
            return true;
        }
        int flags = read_flags(n);
        if (flags < 0) return false;
        char own[32]; /* opened anew: each reader has a place of its own in it, and none may write */
        snprintf(own, sizeof own, "/proc/self/fd/%d", all[i].memory);
        int fd = open(own, O_RDONLY | O_CLOEXEC);
        struct seccomp_notif_addfd add = {.id = n->id, .srcfd = (uint32_t)fd,
                                          .newfd_flags = (uint32_t)(flags & O_CLOEXEC)};
        int given = fd < 0 ? -1 : ioctl(notify, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
        if (fd >= 0) close(fd);
        if (given < 0) return false;
        answer->flags = 0;
        answer->val = given;
        return true;
    }
    return false;
}
