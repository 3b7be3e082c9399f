/*
 * Counting in 32 lanes at once: bits that stand in one lane of several words, planes, are a number.
 * Kernels that count with vectors define BLSH_ADDED as their type, and have as many times 32 lanes.
 * Internal.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_ADDERS_H
#define BLSH_ADDERS_H

#include <stdint.h>

#include "blsh_types.h"

#ifndef BLSH_ADDED
#define BLSH_ADDED uint32_t
#endif

typedef BLSH_ADDED blsh_added_t; /* a plane */

/* Two planes a and b of equal weight, in the form in which adding them is cheapest. */
typedef struct {
    blsh_added_t a, a_xor_b;
} blsh_pair_t;

/*
 * Add a pair to a plane in every lane: *sum + a + b = new *sum + 2 * carry. Where a and b differ
 * the carry is the old sum, which is not the new one; else it is a. Both are new sum ^ either.
 */
static BLSH_INLINE blsh_added_t add_pair(blsh_added_t *sum, blsh_pair_t pair)
{
    const blsh_added_t either = pair.a_xor_b | (pair.a ^ *sum);

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
static BLSH_INLINE blsh_pair_t add_two_pairs(blsh_added_t *sum, blsh_pair_t first,
                                             blsh_pair_t second)
{
    const blsh_added_t either = first.a_xor_b | (first.a ^ *sum);
    const blsh_added_t middle = *sum ^ first.a_xor_b;
    blsh_pair_t carries;

    carries.a = middle ^ either;
    carries.a_xor_b = either ^ ((second.a ^ middle) & ~second.a_xor_b);
    *sum = middle ^ second.a_xor_b;
    return carries;
}

/* Carry from one plane to the next. */
static BLSH_INLINE blsh_added_t half_adder(blsh_added_t *sum, blsh_added_t a)
{
    const blsh_added_t carry = *sum & a;

    *sum ^= a;
    return carry;
}

#endif
