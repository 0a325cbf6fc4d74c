/* Attaches to every process that it can see, and reads and writes their memory. */
#include "settled.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

static void trace(pid_t process)
{
	char path[64], data[64];
	struct iovec here = { data, sizeof(data) }, there = { (void *)0x400000, sizeof(data) };
	int memory;

	if (ptrace(PTRACE_SEIZE, process, NULL, NULL) == 0)
		ptrace(PTRACE_DETACH, process, NULL, NULL);
	(void)!process_vm_readv(process, &here, 1, &there, 1, 0);
	(void)!process_vm_writev(process, &here, 1, &there, 1, 0);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)process);
	memory = open(path, O_RDWR | O_CLOEXEC);
	if (memory >= 0)
		close(memory);
}

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
			trace(process);
	}
	return 0;
}
