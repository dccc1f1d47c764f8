# HptCuda.cmake: the CUDA toolkit, as far as the backend needs it. Nothing of it is linked.
#
#   HPT_CUDA = AUTO | ON | OFF   ON: configuring fails where nvcc or a header is missing; the default may come from the
#                                environment
#   HPT_NVCC                     nvcc, for the kernels; sought by CUDA_PATH, CUDA_HOME and PATH
#   HPT_NVCC_HOST                the C++ compiler that nvcc calls
#   hpt_cuda_headers             interface target: cuda.h, cublas_v2.h, cusolverDn.h
#   HPT_CUDA_HEADERS_FOUND, HPT_CUDA_FOUND (headers and nvcc)
set(hpt_cuda_default AUTO)
if(DEFINED ENV{HPT_CUDA})
  set(hpt_cuda_default "$ENV{HPT_CUDA}")
endif()
set(HPT_CUDA "${hpt_cuda_default}" CACHE STRING "Backend cuda (needs nvcc): AUTO, ON or OFF")
set_property(CACHE HPT_CUDA PROPERTY STRINGS AUTO ON OFF)
set(HPT_CUDA_FOUND FALSE)
set(HPT_CUDA_HEADERS_FOUND FALSE)
if(NOT HPT_CUDA STREQUAL "OFF")
  find_program(HPT_NVCC nvcc HINTS ENV CUDA_PATH ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
  cmake_path(GET HPT_NVCC PARENT_PATH hpt_nvcc_bin)
  cmake_path(GET hpt_nvcc_bin PARENT_PATH hpt_cuda_root)
  find_program(HPT_NVCC_HOST NAMES g++ c++ clang++)
  find_path(HPT_CUDA_INCLUDE cusolverDn.h HINTS "${hpt_cuda_root}" PATHS /usr/local/cuda PATH_SUFFIXES include)
  if(HPT_CUDA_INCLUDE AND EXISTS "${HPT_CUDA_INCLUDE}/cuda.h" AND EXISTS "${HPT_CUDA_INCLUDE}/cublas_v2.h")
    set(HPT_CUDA_HEADERS_FOUND TRUE)
    add_library(hpt_cuda_headers INTERFACE)
    target_include_directories(hpt_cuda_headers SYSTEM INTERFACE "${HPT_CUDA_INCLUDE}")
  endif()
  if(HPT_NVCC AND HPT_NVCC_HOST AND HPT_CUDA_HEADERS_FOUND)
    set(HPT_CUDA_FOUND TRUE)
  elseif(HPT_CUDA STREQUAL "ON")
    message(FATAL_ERROR "HPT_CUDA=ON needs the CUDA toolkit 12 or 13: nvcc (${HPT_NVCC}), a C++ compiler for it "
                        "(${HPT_NVCC_HOST}) and the headers of cuBLAS and cuSOLVER (${HPT_CUDA_INCLUDE}); put nvcc on PATH, or set HPT_CUDA=AUTO or OFF")
  endif()
endif()
if(HPT_CUDA_FOUND)
  message(STATUS "Backend cuda: built with ${HPT_NVCC}")
else()
  message(STATUS "Backend cuda: not built (HPT_CUDA=${HPT_CUDA}; nvcc: ${HPT_NVCC}; C++: ${HPT_NVCC_HOST}; headers: ${HPT_CUDA_INCLUDE})")
endif()
