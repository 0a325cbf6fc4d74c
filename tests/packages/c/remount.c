/* Tries to change what is mounted: as it is, and then in a user and mount namespace of its own, where it reads a
 * key through a second path. */
#define _GNU_SOURCE
#include "settled.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

static void change_mounts(void)
{
	mount("none", "/", NULL, MS_REMOUNT | MS_BIND, NULL);
	mount("tmpfs", HOME "/.ssh", "tmpfs", 0, NULL);
	umount2("/proc", MNT_DETACH);
	umount2("/usr", MNT_DETACH);
}

int main(void)
{
	char data[64];
	int file;

	if (!settled())
		return 0;
	change_mounts();
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) {
		mkdir("/tmp/second", 0700);
		mount(HOME "/.ssh", "/tmp/second", NULL, MS_BIND, NULL);
		file = open("/tmp/second/id_ed25519", O_RDONLY | O_CLOEXEC);
		if (file >= 0)
			(void)!read(file, data, sizeof(data));
		change_mounts();
	}
	return 0;
}
