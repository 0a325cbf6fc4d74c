#include "plant.c"

#include "check.h"

static char folder[64];

static const char *inside(const char *name) {
    static char texts[4][512];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    snprintf(text, sizeof texts[0], "%s/%s", folder, name);
    return text;
}

static void plant(uint32_t kind, uint32_t mode, const char *path, const char *content) {
    uint8_t frame[8192];
    struct put p = {.kind = kind, .mode = mode, .modified = 1000000000, .path = (uint32_t)strlen(path), .owned = 0};
    memcpy(frame, &p, sizeof p);
    memcpy(frame + sizeof p, path, p.path);
    memcpy(frame + sizeof p + p.path, content, strlen(content));
    plant_put(frame, (uint32_t)(sizeof p + p.path + strlen(content)));
}

static bool holds(const char *path, const char *content) {
    char text[256] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool same = fd >= 0 && read(fd, text, sizeof text - 1) >= 0 && !strcmp(text, content);
    if (fd >= 0) close(fd);
    return same;
}

static void nothing_was_lost(void) {
    struct seen *f = malloc(sizeof *f);
    CHECK(!host_sees(f));
    free(f);
}

static void files_folders_and_links(void) {
    struct stat st;
    plant(0, 0600, inside("a/b/c/file"), "first ");
    plant(1, 0600, inside("a/b/c/file"), "second");
    CHECK(holds(inside("a/b/c/file"), "first second"));
    CHECK(stat(inside("a/b/c/file"), &st) == 0 && (st.st_mode & 07777) == 0600 && st.st_mtime == 1000000000);
    plant(0, 0644, inside("a/b/c/file"), "again");
    CHECK(holds(inside("a/b/c/file"), "again"));
    plant(2, 0700, inside("a/folder"), "");
    plant(2, 01777, inside("a/folder"), "");
    CHECK(stat(inside("a/folder"), &st) == 0 && (st.st_mode & 07777) == 01777 && S_ISDIR(st.st_mode));
    plant(3, 0, inside("a/link"), "b/c/file");
    CHECK(lstat(inside("a/link"), &st) == 0 && S_ISLNK(st.st_mode) && holds(inside("a/link"), "again"));
    plant(0, 0644, inside("a/empty"), "");
    CHECK(holds(inside("a/empty"), ""));
    nothing_was_lost();
}

static void what_fails_is_told(void) {
    size_t size;
    plant(0, 0644, inside("a/link"), "x"); /* a link is not followed */
    const uint8_t *reason = string_of(host_expects(W_LOST, 1), 0, 2, &size);
    CHECK(reason && size > 10 && !memcmp(reason, folder, strlen(folder)));
    CHECK(holds(inside("a/link"), "again"));
    plant(3, 0, inside("a/link"), "elsewhere"); /* already there */
    host_expects(W_LOST, 1);
    plant(0, 0644, inside("a/empty/below"), "x"); /* not a folder */
    host_expects(W_LOST, 1);
    plant(2, 0755, inside("a/empty"), "");
    CHECK(holds(inside("a/empty"), ""));
    host_forget();
    char longest[PATH_MAX];
    memset(longest, 'x', sizeof longest);
    memcpy(longest, folder, strlen(folder));
    longest[strlen(folder)] = '/';
    longest[sizeof longest - 1] = 0;
    plant(0, 0644, longest, "x"); /* a name longer than can be: the reason is cut */
    CHECK(string_of(host_expects(W_LOST, 1), 0, 2, &size) && size < 400);
    plant_seal(); /* /etc is no mount of ours */
    host_expects(W_LOST, 0);
}

/* Frames that lie about their lengths, each in memory of just its size. */
static void what_cannot_be_is_left(void) {
    const char *path = inside("never");
    for (uint32_t size = 0; size < sizeof(struct put) + 30; size++)
        for (int lie = 0; lie < 6; lie++) {
            static const uint32_t lengths[] = {0, 1, 20, PATH_MAX, 0x7fffffff, 0xffffffff};
            struct put p = {.mode = 0644, .path = lengths[lie]};
            uint8_t *frame = calloc(1, size ? size : 1);
            memcpy(frame, &p, size < sizeof p ? size : sizeof p);
            plant_put(frame, size); /* paths of zero bytes, or none */
            free(frame);
        }
    uint8_t frame[sizeof(struct put) + 64] = {0};
    struct put p = {.mode = 0644, .path = 6};
    memcpy(frame, &p, sizeof p);
    memcpy(frame + sizeof p, "here/x", 6);
    CHECK(chdir(folder) == 0);
    plant_put(frame, sizeof p + 6); /* not absolute */
    CHECK(access("here", F_OK) != 0 && access(path, F_OK) != 0);
    nothing_was_lost();
}

static void lists_and_contents(void) {
    size_t size;
    const char *path = inside("a");
    plant_list(1, (const uint8_t *)path, (uint32_t)strlen(path));
    const struct seen *f = host_expects(W_LISTING, 1);
    CHECK(string_of(f, 0, 2, &size) && string_of(f, 0, 1, &size) && !string_of(f, 0, S_CUT, &size));
    path = inside("a/empty");
    plant_list(2, (const uint8_t *)path, (uint32_t)strlen(path)); /* not a folder */
    CHECK(host_expects(W_LISTING, 2)->size == 0);
    path = inside("a/b/c/file");
    plant_read(3, (const uint8_t *)path, (uint32_t)strlen(path));
    f = host_expects(W_CONTENT, 3);
    CHECK(f->size == 5 && !memcmp(f->data, "again", 5));
    path = inside("a/link");
    plant_read(4, (const uint8_t *)path, (uint32_t)strlen(path));
    CHECK(host_expects(W_CONTENT, 4)->size == 0);
    CHECK(mkfifo(inside("a/pipe"), 0600) == 0); /* nobody writes to it: must not be waited for */
    path = inside("a/pipe");
    plant_read(5, (const uint8_t *)path, (uint32_t)strlen(path));
    CHECK(host_expects(W_CONTENT, 5)->size == 0);
    CHECK(truncate(inside("a/empty"), 10 << 20) == 0);
    path = inside("a/empty");
    plant_read(6, (const uint8_t *)path, (uint32_t)strlen(path));
    CHECK(host_expects(W_CONTENT, 6)->size == READ_LIMIT);
    static uint8_t longest[PATH_MAX + 10];
    memset(longest, '/', sizeof longest);
    plant_read(7, longest, sizeof longest);
    CHECK(host_expects(W_CONTENT, 7)->size == 0);
    plant_list(8, longest, 0);
    CHECK(host_expects(W_LISTING, 8)->size == 0);
}

/* A package can fill a folder with the longest names there are: the listing is cut, says so, and is whole. */
static void a_full_folder_is_cut(void) {
    char name[256];
    memset(name, 'n', 255);
    name[255] = 0;
    CHECK(mkdir(inside("full"), 0755) == 0 && chdir(inside("full")) == 0);
    for (int i = 0; i < 1500; i++) {
        for (int k = 0, rest = i; k < 5; k++, rest /= 10) name[k] = (char)('0' + rest % 10);
        int fd = creat(name, 0600);
        CHECK(fd >= 0);
        close(fd);
    }
    const char *path = inside("full");
    plant_list(9, (const uint8_t *)path, (uint32_t)strlen(path));
    const struct seen *f = host_expects(W_LISTING, 9);
    size_t size, count = 0;
    for (size_t at = 0; at < f->size; count++) at += 3 + (f->data[at + 1] | (size_t)f->data[at + 2] << 8);
    CHECK(count > 900 && count < 1500 && string_of(f, 0, S_CUT, &size));
}

static void touches_are_witnessed(void) {
    witness_open();
    const char *path = inside("a/b/c/file");
    plant_watch(17, (const uint8_t *)path, (uint32_t)strlen(path));
    CHECK(holds(path, "again"));
    witness_ready();
    const struct seen *f = host_expects(W_TOUCHED, 17);
    uint64_t mask;
    memcpy(&mask, f->data + 8, 8);
    CHECK(f->size == 16 && mask & IN_OPEN);
    CHECK(unlink(inside("a/b/c/file")) == 0);
    witness_ready();
    f = host_expects(W_TOUCHED, 17);
    memcpy(&mask, f->data + 8, 8);
    CHECK(mask & IN_DELETE_SELF);
    nothing_was_lost();
    path = inside("not there");
    plant_watch(18, (const uint8_t *)path, (uint32_t)strlen(path));
    host_expects(W_LOST, 1);
    plant_watch(MAX_WATCHES, (const uint8_t *)path, 3);
    host_expects(W_LOST, 1);
}

void test_plant(void) {
    strcpy(folder, temporary_folder());
    files_folders_and_links();
    what_fails_is_told();
    what_cannot_be_is_left();
    lists_and_contents();
    a_full_folder_is_cut();
    touches_are_witnessed();
    CHECK(chdir("/") == 0);
}
