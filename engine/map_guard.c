/* The table of mappings and the handler of SIGBUS; see engine/map_guard.h. */
#define _GNU_SOURCE
#include "engine/map_guard.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FREE = 0, TAKEN = 1 }; /* of start, which no mapping begins at */

typedef struct guard {
    _Atomic uintptr_t start;
    size_t bytes;
    atomic_bool lost;
    char name[200];
} guard;

static guard table[VBG_GUARDS];
static atomic_int lost_count;   /* of mappings in the table: nearly always 0 */
static atomic_size_t page_size; /* known before any signal comes */

/* The mapping that holds address, or NULL. */
static guard *find(uintptr_t address)
{
    for (int i = 0; i < VBG_GUARDS; i++) {
        const uintptr_t start = atomic_load(&table[i].start);
        if (start > TAKEN && address >= start && address - start < table[i].bytes)
            return &table[i];
    }
    return NULL;
}

/* Only calls that are safe in a handler: mmap is a plain system call on Linux. */
static void on_bus_error(int sig, siginfo_t *info, void *context)
{
    const uintptr_t address = (uintptr_t)info->si_addr;
    const size_t page = atomic_load(&page_size);
    guard *g = find(address);

    (void)context;
    if (g) {
        const uintptr_t from = address / page * page;
        const size_t rest = (size_t)(atomic_load(&g->start) + g->bytes - from);
        void *p = mmap((void *)from, rest, PROT_READ,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        if (p != MAP_FAILED) {
            if (!atomic_exchange(&g->lost, true))
                atomic_fetch_add(&lost_count, 1);
            return;
        }
    }
    signal(sig, SIG_DFL); /* the instruction runs again and ends the process */
}

void vbg_map_guard_install(void)
{
    struct sigaction a = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };

    atomic_store(&page_size, (size_t)sysconf(_SC_PAGESIZE));
    sigemptyset(&a.sa_mask);
    sigaction(SIGBUS, &a, NULL);
}

int vbg_map_guard_add(const void *data, size_t bytes, const char *name)
{
    for (int i = 0; i < VBG_GUARDS; i++) {
        uintptr_t none = FREE;
        if (!atomic_compare_exchange_strong(&table[i].start, &none, TAKEN))
            continue;
        table[i].bytes = bytes;
        atomic_store(&table[i].lost, false);
        snprintf(table[i].name, sizeof table[i].name, "%s", name);
        atomic_store(&table[i].start, (uintptr_t)data);
        return i;
    }
    return -1;
}

void vbg_map_guard_remove(int place)
{
    if (place < 0)
        return;
    if (atomic_exchange(&table[place].lost, false))
        atomic_fetch_sub(&lost_count, 1);
    atomic_store(&table[place].start, FREE);
}

vbg_status vbg_map_guard_check(vbg_err *err)
{
    if (atomic_load(&lost_count) == 0)
        return VBG_OK;
    for (int i = 0; i < VBG_GUARDS; i++)
        if (atomic_load(&table[i].start) > TAKEN && atomic_load(&table[i].lost))
            return vbg_fail(err, VBG_EIO,
                            "%s: the file was cut short while it was in use; put it back "
                            "and start again",
                            table[i].name);
    return VBG_OK;
}
