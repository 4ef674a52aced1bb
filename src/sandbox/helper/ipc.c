/*
 * ipc - System V objects: memory that belongs to no process and has no file, and stays when its maker has gone.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "sandbox/helper/helper.h"

#ifndef MSG_STAT_ANY
#define MSG_STAT_ANY 13
#define SHM_STAT_ANY 15
#define SEM_STAT_ANY 20
#endif
#define SEMAPHORE_BYTES 64 /* one takes a cache line */

union semun { /* for the caller to define, says semctl(2) */
    int val;
    struct semid_ds *buf;
    struct seminfo *info;
};

/* Bytes of segments that nobody has attached (what is attached is counted with its processes): lines of /proc/sysvipc/shm. */
static int64_t detached_bytes(void)
{
    static char text[16384];
    int64_t sum = 0;
    size_t kept = 0;
    ssize_t n;
    int fd = open("/proc/sysvipc/shm", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (n = read(fd, text + kept, sizeof text - 1 - kept)) > 0) {
        char *line = text, *end;
        text[kept + (size_t)n] = '\0';
        for (; (end = strchr(line, '\n')); line = end + 1) {
            long long column[16] = { 0 }; /* 6: attached; 14, 15: resident, swapped */
            char *at = line;
            for (size_t i = 0; i < 16 && at < end; i++)
                column[i] = strtoll(at, &at, 10); /* the heading has no numbers */
            sum += column[6] == 0 ? column[14] + column[15] : 0;
        }
        kept = strlen(line);
        memmove(text, line, kept);
    }
    if (fd >= 0)
        (void)close(fd);
    return sum;
}

void ipc_bytes(int64_t *shared, int64_t *kernel)
{
    struct shm_info shm = { 0 };
    struct msginfo msg = { 0 };
    struct seminfo sem = { 0 };
    *shared = *kernel = 0;
    if (shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&shm) >= 0 && shm.used_ids > 0)
        *shared = detached_bytes();
    if (msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&msg) >= 0)
        *kernel += msg.msgtql;
    if (semctl(0, 0, SEM_INFO, (union semun){ .info = &sem }) >= 0)
        *kernel += (int64_t)sem.semaem * SEMAPHORE_BYTES;
}

bool ipc_any(void)
{
    struct shm_info shm = { 0 };
    struct msginfo msg = { 0 };
    struct seminfo sem = { 0 };
    (void)shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&shm);
    (void)msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&msg);
    (void)semctl(0, 0, SEM_INFO, (union semun){ .info = &sem });
    return shm.used_ids > 0 || msg.msgpool > 0 || sem.semusz > 0;
}

void ipc_remove_all(void)
{
    struct shm_info shm = { 0 };
    struct msginfo msg = { 0 };
    struct seminfo sem = { 0 };
    struct shmid_ds shm_ds;
    struct msqid_ds msg_ds;
    struct semid_ds sem_ds;
    int id, top = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&shm);
    for (int i = 0; top >= 0 && shm.used_ids > 0 && i <= top; i++)
        if ((id = shmctl(i, SHM_STAT_ANY, &shm_ds)) >= 0)
            (void)shmctl(id, IPC_RMID, NULL);
    top = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&msg);
    for (int i = 0; top >= 0 && msg.msgpool > 0 && i <= top; i++)
        if ((id = msgctl(i, MSG_STAT_ANY, &msg_ds)) >= 0)
            (void)msgctl(id, IPC_RMID, NULL);
    top = semctl(0, 0, SEM_INFO, (union semun){ .info = &sem });
    for (int i = 0; top >= 0 && sem.semusz > 0 && i <= top; i++)
        if ((id = semctl(i, 0, SEM_STAT_ANY, (union semun){ .buf = &sem_ds })) >= 0)
            (void)semctl(id, 0, IPC_RMID);
}
