# HptInstall.cmake: what `cmake --install` lays down: library, headers, programs, pkg-config file, CMake package,
# man pages, shell completion. The pkg-config file is relocatable (${pcfiledir}).
include(CMakePackageConfigHelpers)

install(TARGETS hpt_gpu EXPORT hpt_gpu-targets
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        PUBLIC_HEADER DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(TARGETS hpt RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
if(TARGET hpt-bench)
  install(TARGETS hpt-bench hpt-bench-surrogate hpt-bench-sched RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
install(DIRECTORY "${CMAKE_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")

install(EXPORT hpt_gpu-targets NAMESPACE hpt:: DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/hpt_gpu")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/hpt_gpu-config.cmake.in"
  "${CMAKE_BINARY_DIR}/hpt_gpu-config.cmake" INSTALL_DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/hpt_gpu")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/hpt_gpu-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/hpt_gpu-config.cmake" "${CMAKE_BINARY_DIR}/hpt_gpu-config-version.cmake"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/hpt_gpu")

# Path from <libdir>/pkgconfig back to the prefix, for a file that survives being moved.
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_FULL_LIBDIR NORMALIZE OUTPUT_VARIABLE hpt_full_libdir)
cmake_path(SET hpt_pc_dir NORMALIZE "${hpt_full_libdir}/pkgconfig")
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY "${hpt_pc_dir}" OUTPUT_VARIABLE HPT_PC_PREFIX)
configure_file("${CMAKE_CURRENT_LIST_DIR}/hpt_gpu.pc.in" "${CMAKE_BINARY_DIR}/hpt_gpu.pc" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/hpt_gpu.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

install(FILES "${CMAKE_SOURCE_DIR}/docs/man/hpt.1" "${CMAKE_SOURCE_DIR}/docs/man/hpt-bench.1"
        DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES "${CMAKE_SOURCE_DIR}/docs/man/libhpt_gpu.3" DESTINATION "${CMAKE_INSTALL_MANDIR}/man3")
install(FILES "${CMAKE_SOURCE_DIR}/scripts/completion/hpt.bash"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME hpt)
install(FILES "${CMAKE_SOURCE_DIR}/scripts/completion/_hpt"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")

# What `hpt run --wandb-shim` puts before the trials' PYTHONPATH; found relative to the program (src/cli/wandb_shim.c).
install(DIRECTORY "${CMAKE_SOURCE_DIR}/python/wandb_shim/"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/hpt_gpu/wandb_shim" PATTERN "__pycache__" EXCLUDE)
