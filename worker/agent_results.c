/* Results on their way to the store: kept from when an executor reports them until the coordinator says
 * that they are durable. Sequence numbers are dense, so that an array finds them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "worker/agent_internal.h"

enum { RESEND_DOUBLINGS_MAX = 6 };

void sky__kept_free(sky__kept *k)
{
    if (!k)
        return;
    sky_arena_free(&k->arena);
    free(k);
}

sky__kept *sky__agent_kept(const sky_agent *a, uint64_t seq)
{
    if (seq < a->kept_first || seq - a->kept_first >= a->n_kept)
        return NULL;
    return a->kept[seq - a->kept_first];
}

static bool reserve(sky_agent *a)
{
    if (a->n_kept < a->cap_kept)
        return true;
    size_t cap = a->cap_kept ? a->cap_kept * 2 : 64;
    sky__kept **kept = realloc(a->kept, cap * sizeof(sky__kept *));
    if (!kept)
        return false;
    a->kept = kept;
    a->cap_kept = cap;
    return true;
}

static void send(sky_agent *a, sky__kept *k)
{
    k->sent_ns = a->now_ns;
    k->sends++;
    sky__agent_push(a, (sky__todo){.kind = SKY__TODO_RESULT, .id = k->msg.result.seq});
}

void sky__agent_keep(sky_agent *a, const sky_msg_result *r, sky_arena *arena)
{
    sky__kept *k = calloc(1, sizeof *k);
    if (!k || !reserve(a)) {
        free(k);
        sky_arena_free(arena);
        sky__agent_oom(a);
        return;
    }
    k->arena = *arena;
    *arena = (sky_arena){0};
    k->msg.type = SKY_MSG_RESULT;
    k->msg.result = *r;
    k->msg.result.seq = a->kept_first + a->n_kept;
    k->bytes = sizeof *k + k->arena.used_bytes;
    k->sent_ns = -1;
    a->kept[a->n_kept++] = k;
    a->unacked++;
    a->unacked_bytes += k->bytes;
    a->trials_ok += sky_range_list_count(&r->ok);
    a->trials_failed += r->n_failed;
    if (a->connected && a->welcomed)
        send(a, k);
}

void sky__agent_ack(sky_agent *a, uint64_t seq)
{
    sky__kept *k = sky__agent_kept(a, seq);
    if (!k)
        return; /* a late copy */
    a->kept[seq - a->kept_first] = NULL;
    a->unacked--;
    a->unacked_bytes -= k->bytes;
    sky__agent_push(a, (sky__todo){.kind = SKY__TODO_RECORDED, .recorded = k});

    size_t gone = 0;
    while (gone < a->n_kept && !a->kept[gone])
        gone++;
    /* Shifting at once for each would be quadratic when acknowledgements come one by one. */
    if (gone < a->n_kept && gone < a->cap_kept / 2)
        return;
    memmove(a->kept, a->kept + gone, (a->n_kept - gone) * sizeof(sky__kept *));
    a->n_kept -= gone;
    a->kept_first += gone;
}

void sky__agent_send_kept(sky_agent *a, bool all)
{
    for (size_t i = 0; i < a->n_kept; i++) {
        sky__kept *k = a->kept[i];
        if (!k)
            continue;
        if (all)
            k->sends = 0;
        uint32_t doublings = k->sends < RESEND_DOUBLINGS_MAX ? k->sends : RESEND_DOUBLINGS_MAX;
        int64_t wait_ns = sky__ms(a->o.resend_ms) << (doublings ? doublings - 1 : 0);
        if (all || k->sent_ns < 0 || a->now_ns - k->sent_ns >= wait_ns)
            send(a, k);
    }
}

void sky__agent_drop_kept(sky_agent *a)
{
    for (size_t i = 0; i < a->n_kept; i++)
        sky__kept_free(a->kept[i]);
    a->kept_first += a->n_kept; /* a sequence number is never used twice */
    a->n_kept = 0;
    a->unacked = 0;
    a->unacked_bytes = 0;
}
