/* Opens a path that a second thread keeps rewriting, so that whoever reads the path before the kernel does may
 * read another one. Goes on for a second, or until the key was opened a few times. */
#include "settled.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

enum { TIMES = 3, SECONDS = 1 };

static const char harmless[32] = "/home/dev/.profile";
static const char wanted[32] = "/home/dev/.ssh/id_ed25519";
static volatile char path[32];
static volatile int done;

static void copy(const char *from)
{
	for (size_t at = 0; at < sizeof(path); at++)
		path[at] = from[at];
}

static void *flip(void *unused)
{
	while (!done) {
		copy(harmless);
		copy(wanted);
	}
	return unused;
}

int main(void)
{
	pthread_t thread;
	struct stat key, got;
	time_t end = time(NULL) + SECONDS + 1;
	int opened = 0;

	if (!settled())
		return 0;
	copy(harmless);
	if (stat(wanted, &key) != 0 || pthread_create(&thread, NULL, flip, NULL) != 0)
		return 0;
	while (opened < TIMES && time(NULL) < end) {
		int file = open((const char *)path, O_RDONLY | O_CLOEXEC);

		if (file < 0)
			continue;
		if (fstat(file, &got) == 0 && got.st_ino == key.st_ino && got.st_dev == key.st_dev)
			opened++;
		close(file);
	}
	done = 1;
	pthread_join(thread, NULL);
	return 0;
}
