/* SPDX-License-Identifier: Apache-2.0
 *
 * The image that a guest carries. */
        .section .rodata
        .globl  axle_image
        .globl  axle_image_end
axle_image:
        .incbin AXLE_IMAGE
axle_image_end:

        .section .note.GNU-stack, "", @progbits
