/* SPDX-License-Identifier: Apache-2.0
 *
 * How the unikernel starts: PVH (Xen's x86/HVM direct boot ABI), 32 bits, no paging; %ebx points to the
 * start info. Then its own segments, stack and interrupts.
 */
        .section .note, "a", @note
        .long   4, 4, 18                /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz  "Xen"
        .long   axle_start

        .text
        .globl  axle_start
axle_start:
        cli
        cld
        lgdt    gdt_pointer
        ljmp    $0x08, $1f
1:      movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    $stack_end, %esp
        movl    %ebx, %eax              /* arguments go in registers: -mregparm=3 */
        call    axle_main
        /* An interrupt without a table ends the machine: QEMU with -no-reboot then ends too. */
        .globl  axle_halt
axle_halt:
        cli
        lidt    no_idt_pointer
        int3
2:      hlt
        jmp     2b

        /* Of the two interrupt controllers: that it was seen is all that there is to say. */
        .globl  axle_interrupt
axle_interrupt:
        pushl   %eax
        movb    $0x20, %al
        outb    %al, $0xa0
        outb    %al, $0x20
        popl    %eax
        iret

        /* Sleeps until an interrupt; sti lets it in from the instruction after the next on. */
        .globl  axle_sleep
axle_sleep:
        sti
        hlt
        cli
        ret

        .globl  axle_load_idt
axle_load_idt:
        lidt    (%eax)
        ret

        .section .rodata
        .balign 8
gdt:    .quad   0
        .quad   0x00cf9a000000ffff      /* code, 4 GiB */
        .quad   0x00cf92000000ffff      /* data, 4 GiB */
gdt_pointer:
        .word   23
        .long   gdt
no_idt_pointer:
        .word   0
        .long   0

        .bss
        .balign 16
stack:  .skip   16384
stack_end:

        .section .note.GNU-stack, "", @progbits
