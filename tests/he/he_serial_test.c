/* Bytes: what is written reads back the same; what is damaged, cut, foreign or malformed does not. */
#include "base/buf.h"
#include "base/hash.h"
#include "he_world.h"

static const int32_t steps[] = {1, -7};

/* Puts the checksum right after a change, so that the checks behind it are reached. */
static void reseal(sky_buf *b)
{
    uint64_t hash = sky_hash_bytes(1, b->data, b->len - 8);
    for (int i = 0; i < 8; i++)
        b->data[b->len - 8 + (size_t)i] = (char)(hash >> 8 * i);
}

static sky_err ct_reads(const world *w, const sky_buf *b, size_t len)
{
    sky_he_ct *ct = NULL;
    sky_error e = {0};
    sky_err err = sky_he_ct_read(&ct, w->ctx, b->data, len, &e);
    sky_he_ct_free(ct);
    return err;
}

static void test_ciphertexts(world *w, sky_rng *rng)
{
    for (uint32_t level = 1; level <= 4; level++) {
        fill(w, rng);
        sky_he_ct *a = encrypted(w, level), *ext = new_ct(w, (sky_he_shape){.extended = true}),
                  *back = NULL;
        sky_he_ct *three = new_ct(w, (sky_he_shape){.three_parts = true});
        MUST(sky_he_mod_up(w->ev, ext, a, e));
        if (level > 1)
            MUST(sky_he_mul(w->ev, three, a, a, e));
        const sky_he_ct *cts[] = {a, ext, three};
        for (int i = 0; i < (level > 1 ? 3 : 2); i++) {
            sky_buf b = {0};
            MUST(sky_he_ct_write(cts[i], &b));
            MUST(sky_he_ct_read(&back, w->ctx, b.data, b.len, e));
            sky_he_state x = cts[i]->is, y = back->is;
            CHECK(x.level == y.level && x.parts == y.parts && x.extended == y.extended &&
                      x.scale == y.scale,
                  "state of ciphertext %d", i);
            for (uint32_t p = 0; p < x.parts; p++)
                CHECK(!memcmp(cts[i]->part[p], back->part[p],
                              sky_he_pt_bytes(w->ctx, x.level, x.extended)),
                      "part %u of ciphertext %d", p, i);
            sky_he_ct_free(back);
            sky_buf_free(&b);
        }
        sky_he_ct_free(a);
        sky_he_ct_free(ext);
        sky_he_ct_free(three);
    }
}

static void test_bad_ciphertexts(world *w, world *other)
{
    sky_he_ct *a = encrypted(w, 2);
    sky_buf b = {0};
    MUST(sky_he_ct_write(a, &b));
    sky_he_ct *empty = new_ct(w, (sky_he_shape){0});
    CHECK(sky_he_ct_write(empty, &b) == SKY_EINVAL, "an empty ciphertext is written");
    sky_he_ct_free(empty);
    CHECK(ct_reads(other, &b, b.len) == SKY_ECONFLICT, "other primes");
    for (size_t len = 0; len < b.len; len += len < 64 ? 1 : 997)
        CHECK(ct_reads(w, &b, len) == SKY_EFORMAT, "cut at %zu", len);
    static const struct {
        size_t at;
        uint8_t value;
        sky_err err;
    } changes[] = {{0, 'X', SKY_EFORMAT},  {4, 2, SKY_EVERSION},  {6, 2, SKY_EFORMAT},
                   {6, 9, SKY_EFORMAT},    {8, 1, SKY_ECONFLICT}, {16, 0, SKY_EFORMAT},
                   {16, 5, SKY_EFORMAT},   {16, 3, SKY_EFORMAT},  {16, 1, SKY_ELIMIT},
                   {20, 1, SKY_EFORMAT},   {20, 4, SKY_EFORMAT},  {22, 2, SKY_EFORMAT},
                   {31, 0xff, SKY_ELIMIT}, {31, 0x7f, SKY_ELIMIT}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint8_t old = (uint8_t)b.data[changes[i].at];
        b.data[changes[i].at] = (char)(old == changes[i].value ? old ^ 1 : changes[i].value);
        if (changes[i].at != 8)
            reseal(&b);
        sky_err err = ct_reads(w, &b, b.len);
        CHECK(err == changes[i].err, "byte %zu set to %u: %s", changes[i].at, changes[i].value,
              sky_strerror(err));
        b.data[changes[i].at] = (char)old;
    }
    reseal(&b);
    CHECK(ct_reads(w, &b, b.len) == SKY_OK, "the bytes are whole again");
    b.data[100] ^= 1;
    CHECK(ct_reads(w, &b, b.len) == SKY_EFORMAT, "the checksum is not looked at");
    memset(b.data + 32, 0xff, 7); /* residue 0 of q_0, which is below 2^50 */
    reseal(&b);
    CHECK(ct_reads(w, &b, b.len) == SKY_EFORMAT, "a residue beyond its prime");
    sky_buf_free(&b);
    sky_he_ct_free(a);
}

/* Keys that were read work like those that were written, to the bit. */
static void test_keys(world *w, sky_rng *rng)
{
    world_keys(w, 3, steps, 2);
    sky_buf b = {0};
    sky_he_keys *back = NULL;
    MUST(sky_he_keys_write(w->keys, &b));
    MUST(sky_he_keys_read(&back, w->ctx, b.data, b.len, e));
    CHECK(sky_he_keys_count(back) == 4 && back->galois_count == 3, "%zu keys",
          sky_he_keys_count(back));
    CHECK(b.len < sky_he_keys_bytes(back) * 7 / 16, "%zu bytes: a is not from a seed", b.len);
    fill(w, rng);
    sky_he_ct *a = encrypted(w, 3), *x = new_ct(w, (sky_he_shape){0}),
              *y = new_ct(w, (sky_he_shape){0});
    for (int i = 0; i < 2; i++) {
        sky_he_eval_set_keys(w->ev, w->keys);
        MUST(sky_he_rotate(w->ev, x, a, steps[i], e));
        sky_he_eval_set_keys(w->ev, back);
        MUST(sky_he_rotate(w->ev, y, a, steps[i], e));
        CHECK(!memcmp(x->part[0], y->part[0], sky_he_pt_bytes(w->ctx, 3, false)), "step %d",
              steps[i]);
    }
    sky_he_eval_set_keys(w->ev, w->keys);
    sky_he_keys_free(back);
    back = NULL;
    sky_error e = {0};
    uint32_t second = 24 + (uint32_t)((b.len - 8 - 24) / 4); /* where key 1 begins */
    static const uint8_t elements[] = {0, 2, 1};
    for (size_t i = 0; i < 3; i++) {
        char old[4];
        memcpy(old, b.data + second, 4);
        memset(b.data + second, 0, 4);
        b.data[second] = (char)elements[i];
        reseal(&b);
        CHECK(sky_he_keys_read(&back, w->ctx, b.data, b.len, &e) == SKY_EFORMAT, "element %u",
              elements[i]);
        memcpy(b.data + second, old, 4);
    }
    b.data[20] = 3; /* one key fewer than there are */
    reseal(&b);
    CHECK(sky_he_keys_read(&back, w->ctx, b.data, b.len, &e) == SKY_ELIMIT,
          "longer than its count");
    b.data[23] = 1; /* 2^24 keys */
    reseal(&b);
    CHECK(sky_he_keys_read(&back, w->ctx, b.data, b.len, &e) == SKY_ELIMIT, "too many keys");
    CHECK(!back, "an error gave keys");
    sky_he_ct *cts[] = {a, x, y};
    for (int i = 0; i < 3; i++)
        sky_he_ct_free(cts[i]);
    sky_buf_free(&b);
}

static void test_secret_and_public(world *w, sky_rng *rng)
{
    sky_buf b = {0}, p = {0};
    sky_he_secret *secret = NULL;
    sky_he_public *key = NULL;
    MUST(sky_he_secret_write(w->secret, &b));
    MUST(sky_he_public_write(w->key, &p));
    MUST(sky_he_secret_read(&secret, w->ctx, b.data, b.len, e));
    MUST(sky_he_public_read(&key, w->ctx, p.data, p.len, e));
    size_t bytes = (size_t)w->ctx->total * w->ctx->n * 8;
    CHECK(!memcmp(secret->s, w->secret->s, bytes), "secret");
    CHECK(!memcmp(key->a, w->key->a, bytes) && !memcmp(key->b, w->key->b, bytes), "public key");
    sky_he_secret_free(secret);
    sky_he_public_free(key);
    sky_error e = {0};
    secret = NULL, key = NULL;
    b.data[16] = (char)0xff;
    reseal(&b);
    CHECK(sky_he_secret_read(&secret, w->ctx, b.data, b.len, &e) == SKY_EFORMAT,
          "coefficient of 2");
    CHECK(sky_he_public_read(&key, w->ctx, b.data, b.len, &e) == SKY_EFORMAT,
          "a secret as a public key");
    CHECK(sky_he_public_read(&key, w->ctx, p.data, p.len - 1, &e) == SKY_EFORMAT, "cut");
    CHECK(!secret && !key, "an error gave a key");
    (void)rng;
    sky_buf_free(&b);
    sky_buf_free(&p);
}

int main(void)
{
    sky_rng rng = test_rng("he_serial_test");
    world w =
        world_new((sky_he_params){.log2_n = 8, .n_data = 4, .insecure = true}, sky_rng_u64(&rng));
    world other = world_new((sky_he_params){.log2_n = 8, .n_data = 5, .insecure = true}, 1);
    test_ciphertexts(&w, &rng);
    test_bad_ciphertexts(&w, &other);
    test_keys(&w, &rng);
    test_secret_and_public(&w, &rng);
    world_free(&w);
    world_free(&other);
    return he_report("he_serial_test");
}
