# libhpt_gpu_cuda_mock.so, device `cuda:mock`: the host code of src/cuda over the mock's functions (mock.cmake) and the
# kernels that the host's compiler made (cuda_shim). It lies beside the library, where a request for it finds it, and is never installed.
if(TARGET cuda_mock AND TARGET cuda_shim)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/cuda/cuda_*.c")
  list(FILTER sources EXCLUDE REGEX "/cuda_(api|image)\\.c$")
  hpt_cuda_module(hpt_gpu_cuda_mock ${sources} "${CMAKE_SOURCE_DIR}/src/core/base/special.c"
                  $<TARGET_OBJECTS:cuda_mock> $<TARGET_OBJECTS:cuda_shim>)
  set_target_properties(hpt_gpu_cuda_mock PROPERTIES LINKER_LANGUAGE CXX)
  # What large matrices do otherwise is done by some of the tests' small ones too (cuda_impl.h).
  target_compile_definitions(hpt_gpu_cuda_mock PRIVATE CUDA__APART=100 CUDA__INVERT_ROOM=8192 CUDA__STRIP_BYTES=65536 CUDA__AGAIN=20)
endif()

# Every call of CUDA that a model makes fails once; screening in single precision.
if(TARGET hpt_gpu_cuda_mock)
  foreach(suite faults screen)
    hpt_criterion(cuda_${suite} LABEL cuda SOURCES test_cuda_${suite}.c ../backend/backend_testing.c)
    target_include_directories(cuda_${suite} PRIVATE "${CMAKE_SOURCE_DIR}/src/cuda" "${CMAKE_SOURCE_DIR}/tests")
    target_link_libraries(cuda_${suite} PRIVATE hpt_cuda_headers)
    add_dependencies(cuda_${suite} hpt_gpu_cuda_mock)
  endforeach()
endif()
