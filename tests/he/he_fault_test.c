/* A call that fails does no work: its output keeps its bits, and nothing is counted. And what happens
 * when the system gives no randomness. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "he_world.h"

typedef struct snapshot {
    uint64_t hash;
    sky_he_state state;
    sky_he_counts counts;
} snapshot;

static snapshot take(const world *w, const sky_he_ct *ct, const sky_he_pt *pt)
{
    snapshot s = {.state = ct->is, .counts = sky_he_eval_counts(w->ev)};
    size_t bytes = (size_t)w->ctx->n * sizeof(uint64_t);
    for (uint32_t p = 0; p < ct->parts_max; p++)
        s.hash = sky_hash_bytes(s.hash, ct->part[p], ct->limbs_max * bytes);
    s.hash = sky_hash_bytes(s.hash, pt->x, pt->limbs_max * bytes);
    s.hash = sky_hash_bytes(s.hash, &pt->is.level, sizeof pt->is.level);
    return s;
}

static bool unchanged(const snapshot *x, const snapshot *y)
{
    const sky_he_state *a = &x->state, *b = &y->state;
    return x->hash == y->hash && !memcmp(&x->counts, &y->counts, sizeof x->counts) &&
           a->level == b->level && a->parts == b->parts && a->extended == b->extended &&
           a->scale == b->scale;
}

/* The call fails with this name, and out, pt and the counters are as before. */
#define IDLE(name, call)                                                                           \
    do {                                                                                           \
        snapshot before = take(&w, out, pt);                                                       \
        FAULT(name, call);                                                                         \
        snapshot after = take(&w, out, pt);                                                        \
        CHECK(unchanged(&before, &after), "%s did some work", #call);                              \
    } while (0)

static void test_no_work(sky_rng *rng)
{
    static const int32_t steps[] = {1, 5};
    world w = world_new(he_small, sky_rng_u64(rng));
    world_keys(&w, 2, steps, 2);
    fill(&w, rng);
    sky_he_ct *top = encrypted(&w, 0), *low = encrypted(&w, 2), *one = encrypted(&w, 1);
    sky_he_ct *out = new_ct(&w, (sky_he_shape){.three_parts = true}),
              *three = new_ct(&w, (sky_he_shape){.three_parts = true});
    sky_he_pt *pt = new_pt(&w, (sky_he_shape){0}), *deep = new_pt(&w, (sky_he_shape){0});
    sky_he_encode_options o = {0}, large = {.scale = 0x1p80}, too_large = {.scale = 0x1p175};
    sky_he_hoist *h;
    MUST(sky_he_hoist_new(&h, w.ctx, 2, e));
    MUST(sky_he_hoist_set(w.ev, h, low, e));
    MUST(sky_he_encode(w.ev, deep, w.re, w.im, w.slots, large, e));
    MUST(sky_he_encode(w.ev, pt, w.re, w.im, w.slots, o, e));
    MUST(sky_he_mul(w.ev, three, top, top, e));
    MUST(sky_he_mul_plain(w.ev, out, top, deep, e));
    /* wrong slot count */
    IDLE(SLOTS, sky_he_encode(w.ev, pt, w.re, w.im, w.slots + 1, o, e));
    IDLE(SLOTS, sky_he_decode(w.ev, w.got_re, w.got_im, w.slots / 2, pt, e));
    /* scale overflow */
    IDLE(SCALE, sky_he_encode(w.ev, pt, w.re, w.im, w.slots, too_large, e));
    IDLE(SCALE, sky_he_mul_plain(w.ev, out, out, deep, e));
    IDLE(SCALE, sky_he_drop(w.ev, out, out, 2, e));
    IDLE(SCALE, sky_he_mul(w.ev, out, one, one, e));
    /* level exhausted */
    IDLE(LEVEL, sky_he_rescale(w.ev, out, one, e));
    IDLE(LEVEL, sky_he_drop(w.ev, out, low, 0, e));
    IDLE(LEVELS, sky_he_add(w.ev, out, top, low, e));
    IDLE(SCALES, sky_he_add_plain(w.ev, out, top, deep, e));
    /* missing Galois and other keys */
    IDLE(GALOIS, sky_he_rotate(w.ev, out, low, 2, e));
    IDLE(GALOIS, sky_he_rotate_hoisted(w.ev, out, h, 2, e));
    IDLE(KEY_LEVEL, sky_he_rotate(w.ev, out, top, 1, e));
    IDLE(KEY_LEVEL, sky_he_relinearise(w.ev, out, three, e));
    sky_he_eval_set_keys(w.ev, NULL);
    IDLE(RELIN, sky_he_relinearise(w.ev, out, three, e));
    IDLE(GALOIS, sky_he_conjugate(w.ev, out, low, e));
    IDLE(FORM, sky_he_mod_down(w.ev, out, top, e));
    sky_he_hoist_free(h);
    sky_he_ct *cts[] = {top, low, one, out, three};
    for (size_t i = 0; i < sizeof cts / sizeof *cts; i++)
        sky_he_ct_free(cts[i]);
    sky_he_pt_free(pt);
    sky_he_pt_free(deep);
    world_free(&w);
}

/* ---- No randomness ---- */

/* From now on getrandom() fails in this process. */
static bool forbid_getrandom(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
           !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

enum { SKIPPED = 77 };

static int without_randomness(void)
{
    world w = world_new(he_small, 1);
    sky_he_pt *pt = new_pt(&w, (sky_he_shape){0});
    sky_he_ct *out = new_ct(&w, (sky_he_shape){0});
    sky_he_secret *secret = NULL;
    sky_he_public *public = NULL;
    sky_he_keys *keys = NULL;
    MUST(sky_he_encode(w.ev, pt, w.re, w.im, w.slots, (sky_he_encode_options){0}, e));
    free(w.ctx->seeded);
    w.ctx->seeded = NULL; /* the system's randomness from here on */
    if (!forbid_getrandom())
        return SKIPPED;
    FAULT(RANDOM, sky_he_secret_new(&secret, w.ctx, e));
    FAULT(RANDOM, sky_he_public_new(&public, w.secret, e));
    FAULT(RANDOM, sky_he_keys_new(&keys, w.secret, &(sky_he_keys_options){.relinearise = true}, e));
    CHECK(!secret && !public && !keys, "a key came with an error");
    FAULT(RANDOM, sky_he_encrypt(w.ev, out, pt, w.key, e));
    CHECK(!out->is.level, "half an encryption can be used");
    FAULT(RANDOM, sky_he_encrypt_symmetric(w.ev, out, pt, w.secret, e));
    CHECK(!out->is.level, "half an encryption can be used");
    sky_he_pt_free(pt);
    sky_he_ct_free(out);
    world_free(&w);
    return he_failures ? 1 : 0;
}

static void test_no_randomness(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(without_randomness());
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child, "no child");
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == SKIPPED)
        puts("this system lets no process filter its calls: getrandom() is not tested");
    CHECK(code == 0 || code == SKIPPED, "the child without randomness ended with %d", code);
}

int main(void)
{
    sky_rng rng = test_rng("he_fault_test");
    test_no_work(&rng);
    test_no_randomness();
    return he_report("he_fault_test");
}
