# find_package(zeropoint) for users: headers, exported target, version file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS zeropoint EXPORT zeropoint-targets FILE_SET HEADERS)
install(EXPORT zeropoint-targets NAMESPACE zeropoint::
        DESTINATION ${CMAKE_INSTALL_DATADIR}/cmake/zeropoint)
configure_package_config_file(cmake/zeropoint-config.cmake.in zeropoint-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_DATADIR}/cmake/zeropoint)
write_basic_package_version_file(zeropoint-config-version.cmake COMPATIBILITY SameMinorVersion
                                 ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/zeropoint-config.cmake
              ${PROJECT_BINARY_DIR}/zeropoint-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_DATADIR}/cmake/zeropoint)
