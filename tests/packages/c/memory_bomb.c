/* Touches memory until none is given, at most 2 GiB in eight processes for four seconds; then reads a key. */
#include "read_key.h"

#include <sys/wait.h>

enum { CHUNK = 16 * 1024 * 1024, CHUNKS = 16, PROCESSES = 8, SECONDS = 4 };

static void swell(void)
{
	alarm(SECONDS);
	for (int chunk = 0; chunk < CHUNKS; chunk++) {
		char *memory = malloc(CHUNK);

		if (!memory)
			break;
		memset(memory, 0x5a, CHUNK);
		__asm__ volatile("" : : "r"(memory) : "memory"); /* or the compiler drops the whole allocation */
	}
	sleep(1);
	_exit(0);
}

int main(void)
{
	if (!settled())
		return 0;
	for (int process = 0; process < PROCESSES; process++)
		if (fork() == 0)
			swell();
	while (wait(NULL) > 0)
		;
	read_key();
	return 0;
}
