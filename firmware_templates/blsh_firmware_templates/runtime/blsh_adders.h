/*
 * Counting in 32 lanes at once: bits that stand in one lane of several words, planes, are a number.
 * Internal.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_ADDERS_H
#define BLSH_ADDERS_H

#include <stdint.h>

#include "blsh_types.h"

/* Two planes a and b of equal weight, in the form in which adding them is cheapest. */
typedef struct {
    uint32_t a, a_xor_b;
} blsh_pair_t;

static BLSH_INLINE blsh_pair_t pair_of(uint32_t a, uint32_t b)
{
    blsh_pair_t pair;

    pair.a = a;
    pair.a_xor_b = a ^ b;
    return pair;
}

/*
 * Add a pair to a plane in every lane: *sum + a + b = new *sum + 2 * carry. Where a and b differ
 * the carry is the old sum, which is not the new one; else it is a. Both are new sum ^ either.
 */
static BLSH_INLINE uint32_t add_pair(uint32_t *sum, blsh_pair_t pair)
{
    const uint32_t either = pair.a_xor_b | (pair.a ^ *sum);

    *sum ^= pair.a_xor_b;
    return *sum ^ either;
}

/*
 * Add two pairs to a plane; returns the two carries, again a pair. This is add_pair() twice, with
 * carries s ^ either and t ^ other, where s and t are the sums after the first and second pair and
 * other = p | (a ^ s) for the second pair's a and p = a_xor_b. Since t = s ^ p, the carries differ
 * in either ^ p ^ other, and p ^ (p | x) is x & ~p: eight operations in place of ten.
 * (Kojevnikov, Kulikov and Yaroslavtsev 2009: the "modified double full adder".)
 */
static BLSH_INLINE blsh_pair_t add_two_pairs(uint32_t *sum, blsh_pair_t first,
                                             blsh_pair_t second)
{
    const uint32_t either = first.a_xor_b | (first.a ^ *sum);
    const uint32_t middle = *sum ^ first.a_xor_b;
    blsh_pair_t carries;

    carries.a = middle ^ either;
    carries.a_xor_b = either ^ ((second.a ^ middle) & ~second.a_xor_b);
    *sum = middle ^ second.a_xor_b;
    return carries;
}

/* Carry from one plane to the next. */
static BLSH_INLINE uint32_t half_adder(uint32_t *sum, uint32_t a)
{
    const uint32_t carry = *sum & a;

    *sum ^= a;
    return carry;
}

#endif
