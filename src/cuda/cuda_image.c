// SPDX-License-Identifier: Apache-2.0
// cuda_image.c: the compiled kernels (a fatbin by nvcc) as constant bytes of the plugin: nothing to find at run time.
// Assembler's .incbin, because an array in C of some megabytes takes the compiler many seconds.
//
//   extern const unsigned char cuda__kernels_image[];   for cuModuleLoadData, which knows its size
typedef int cuda__image; // a file of C has a declaration

__asm__(".section .rodata\n"
        ".balign 16\n"
        ".global cuda__kernels_image\n"
        ".hidden cuda__kernels_image\n"
        ".type cuda__kernels_image, %object\n"
        "cuda__kernels_image:\n"
        ".incbin \"" CUDA_IMAGE_FILE "\"\n"
        "cuda__kernels_end:\n"
        ".size cuda__kernels_image, cuda__kernels_end - cuda__kernels_image\n"
        ".text\n");
