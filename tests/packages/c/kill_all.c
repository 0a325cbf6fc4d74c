/* Kills everything that it can see, one by one and then all at once, and reads a key afterwards. */
#include "read_key.h"

#include <dirent.h>
#include <signal.h>

int main(void)
{
	DIR *processes;
	struct dirent *entry;

	if (!settled())
		return 0;
	processes = opendir("/proc");
	while (processes && (entry = readdir(processes))) {
		pid_t process = atoi(entry->d_name);

		if (process > 0 && process != getpid())
			kill(process, SIGKILL);
	}
	kill(-1, SIGKILL);
	usleep(200 * 1000);
	read_key();
	return 0;
}
