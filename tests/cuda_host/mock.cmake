# The mock of the CUDA driver, cuBLAS and cuSOLVER (mock.h): objects that take the place of src/cuda/cuda_api.c, and
# its tests. Needs the toolkit's headers only. -O2: its loops do the linear algebra of whole studies in the debug build too.
if(NOT HPT_CUDA_HEADERS_FOUND)
  message(STATUS "The mock of CUDA is left out: no headers of the CUDA toolkit (HptCuda.cmake)")
  return()
endif()
file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/mock*.c")
add_library(cuda_mock OBJECT ${sources})
hpt_target_defaults(cuda_mock)
target_compile_options(cuda_mock PRIVATE -O2)
target_include_directories(cuda_mock PRIVATE "${CMAKE_SOURCE_DIR}/src/cuda")
target_link_libraries(cuda_mock PRIVATE hpt_cuda_headers)

file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/test_mock_*.c")
hpt_criterion(cuda_mock_functions LABEL cuda SOURCES ${sources})
if(TARGET cuda_mock_functions)
  target_sources(cuda_mock_functions PRIVATE $<TARGET_OBJECTS:cuda_mock>)
  target_include_directories(cuda_mock_functions PRIVATE "${CMAKE_SOURCE_DIR}/src/cuda")
  target_link_libraries(cuda_mock_functions PRIVATE hpt_cuda_headers)
endif()

# Our random numbers against cuRAND's own, whose host generators run anywhere.
if(EXISTS "${HPT_CUDA_INCLUDE}/curand.h")
  hpt_criterion(cuda_curand_oracle LABEL cuda SOURCES test_curand_oracle.c)
endif()
if(TARGET cuda_curand_oracle)
  target_link_libraries(cuda_curand_oracle PRIVATE hpt_cuda_headers)
  target_compile_definitions(cuda_curand_oracle PRIVATE HPT_CUDA_ROOT="${HPT_CUDA_INCLUDE}/..")
endif()
