/* The guest's file system as the warden sees it (it has joined the guest's mounts): planting, the second witness, and
 * reading back what an installation left. */
#include "warden.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_WATCHES 2048
#define READ_LIMIT (256u << 10)
#define MAX_NAMES 40000

struct put {
    uint32_t kind, mode; /* kind: 0 file, 1 more of the file before, 2 directory, 3 symbolic link, 4 what an open of
                          * the path is answered with, 5 a path that is said not to be there (see feign.c) */
    int64_t modified;
    uint32_t path, owned; /* owned: 1 by the guest's user, 0 by nobody it can be */
} __attribute__((packed));

static int witness = -1;
static int watches[MAX_WATCHES];

static void own(const char *path, const struct put *p) {
    if (p->owned && lchown(path, guest_uid, guest_uid)) {}
    struct timespec times[2] = {{.tv_sec = p->modified}, {.tv_sec = p->modified}};
    utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static void parents(char *path, const struct put *p) {
    for (char *at = path + 1; (at = strchr(at, '/')); at++) {
        *at = 0;
        if (mkdir(path, 0755) == 0 && p->owned && lchown(path, guest_uid, guest_uid)) {}
        *at = '/';
    }
}

static void failed(const char *path) {
    char reason[400];
    size_t size = strnlen(path, 300);
    memcpy(reason, path, size);
    reason[size] = 0;
    strcat(reason, ": ");
    strncat(reason, strerror(errno), 90);
    lost("planting", reason, 1);
}

void plant_put(const uint8_t *data, uint32_t size) {
    struct put p;
    char path[PATH_MAX];
    if (size < sizeof p) return;
    memcpy(&p, data, sizeof p);
    if (!p.path || p.path >= sizeof path || p.path > size - sizeof p || data[sizeof p] != '/') return;
    memcpy(path, data + sizeof p, p.path);
    path[p.path] = 0;
    const uint8_t *content = data + sizeof p + p.path;
    size_t length = size - sizeof p - p.path;
    if (p.kind == 4 || p.kind == 5) return feign(path, content, length, p.kind == 5);
    parents(path, &p);
    if (p.kind == 2) {
        if (mkdir(path, p.mode) && errno != EEXIST) return failed(path);
        chmod(path, p.mode);
    } else if (p.kind == 3) {
        char target[PATH_MAX];
        if (length >= sizeof target) return;
        memcpy(target, content, length);
        target[length] = 0;
        if (symlink(target, path)) return failed(path);
    } else {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (p.kind == 1 ? O_APPEND : O_TRUNC), p.mode);
        if (fd < 0) return failed(path);
        fchmod(fd, p.mode);
        while (length) {
            ssize_t n = write(fd, content, length);
            if (n <= 0) {
                failed(path);
                break;
            }
            content += n;
            length -= (size_t)n;
        }
        close(fd);
    }
    own(path, &p);
}

/* After planting, the system's configuration is nobody's to change. */
void plant_seal(void) {
    if (contained) return; /* there it belongs to root, which the package is not */
    if (mount(NULL, "/etc", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL))
        lost("planting", "/etc could not be made read-only", 0);
}

void witness_open(void) {
    witness = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (witness < 0) die("the second witness (inotify)");
}

void plant_watch(uint32_t id, const uint8_t *path, uint32_t size) {
    char name[PATH_MAX];
    if (size >= sizeof name || id >= MAX_WATCHES) {
        lost("witness", "too many decoys to watch", 1);
        return;
    }
    memcpy(name, path, size);
    name[size] = 0;
    int wd = inotify_add_watch(witness, name, IN_OPEN | IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF | IN_DONT_FOLLOW);
    if (wd < 0) lost("witness", "a decoy cannot be watched", 1);
    else if (wd < MAX_WATCHES) watches[wd] = (int)id + 1;
}

void witness_ready(void) {
    static uint8_t events[64 << 10] __attribute__((aligned(8)));
    for (int i = 0; i < 8; i++) {
        ssize_t n = read(witness, events, sizeof events);
        if (n <= 0) return;
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e = (const void *)(events + at);
            at += (ssize_t)(sizeof *e + e->len);
            if (e->mask & IN_Q_OVERFLOW) lost("witness", "more touches than the kernel's queue holds", 0);
            if (e->wd < 0 || e->wd >= MAX_WATCHES || !watches[e->wd] || (e->mask & IN_IGNORED)) continue;
            uint64_t payload[2] = {now_ns(), e->mask};
            frame(W_TOUCHED, (uint32_t)watches[e->wd] - 1, payload, sizeof payload);
        }
    }
}


int witness_fd(void) { return witness; }

/* Opens below the guest's own root only: its links may point anywhere, but only inside. */
static int open_guest(const uint8_t *path, uint32_t size, int flags) {
    char name[PATH_MAX];
    if (size >= sizeof name) return -1;
    memcpy(name, path, size);
    name[size] = 0;
    return open(name, flags | O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

void plant_list(uint32_t id, const uint8_t *path, uint32_t size) {
    int fd = open_guest(path, size, O_DIRECTORY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    frame_begin(W_LISTING, id);
    if (dir) {
        int count = 0;
        struct dirent *e;
        while ((e = readdir(dir)) && count < MAX_NAMES) {
            if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
            if (!frame_fits(strlen(e->d_name) + 6)) break;
            bool directory = e->d_type == DT_DIR;
            frame_string(directory ? 2 : 1, e->d_name, strlen(e->d_name));
            count++;
        }
        if (e) frame_string(S_CUT, "", 0);
        closedir(dir);
    }
    frame_end();
}

void plant_read(uint32_t id, const uint8_t *path, uint32_t size) {
    static uint8_t content[READ_LIMIT];
    int fd = open_guest(path, size, 0);
    struct stat st;
    ssize_t n = -1;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) n = read(fd, content, sizeof content);
    if (fd >= 0) close(fd);
    frame(W_CONTENT, id, content, n > 0 ? (size_t)n : 0);
}
