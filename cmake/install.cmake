# find_package(zeropoint) and pkg-config for users: headers, exported target, version file.
# Everything lands under include/ and share/: nothing depends on the architecture.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS zeropoint EXPORT zeropoint-targets FILE_SET HEADERS)
install(EXPORT zeropoint-targets NAMESPACE zeropoint::
        DESTINATION ${CMAKE_INSTALL_DATADIR}/cmake/zeropoint)
configure_package_config_file(cmake/zeropoint-config.cmake.in zeropoint-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_DATADIR}/cmake/zeropoint
                              NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(zeropoint-config-version.cmake COMPATIBILITY SameMinorVersion
                                 ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/zeropoint-config.cmake
              ${PROJECT_BINARY_DIR}/zeropoint-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_DATADIR}/cmake/zeropoint)

# ${pcfiledir}/../.. is the prefix, so that the installed tree can be moved.
file(RELATIVE_PATH ZP_PC_PREFIX /prefix/${CMAKE_INSTALL_DATADIR}/pkgconfig /prefix)
configure_file(cmake/zeropoint.pc.in zeropoint.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/zeropoint.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
