from tests.suites.driver import library

from tiffin.base.ldcache import install_cache
from tiffin.base.tree import Tree


def test_directories_come_from_the_configuration_in_its_order(new_layer):
    tree = Tree(new_layer())
    tree.make_directory("usr/lib")
    tree.link("lib", "usr/lib")
    tree.write("etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n")
    tree.write("etc/ld.so.conf.d/10-local.conf", b"# first\n/usr/local/lib\n")
    tree.write("etc/ld.so.conf.d/ignored", b"/opt/lib\n")
    tree.write("usr/local/lib/libtin.so.1", library("libtin.so.1"))
    tree.write("usr/lib/libtin.so.1.5", library("libtin.so.1"))
    tree.link("usr/lib/libtin.so.1", "libtin.so.1.5")
    tree.write("usr/lib/libtwo.so.2", library("libtwo.so.2"))
    tree.write("opt/lib/libopt.so.1", library("libopt.so.1"))
    assert install_cache(tree, "amd64") == 2
    cache = tree.read("etc/ld.so.cache")
    assert b"/usr/local/lib/libtin.so.1\0" in cache
    assert b"/lib/libtwo.so.2\0" in cache
    assert b"libopt" not in cache


def test_an_unknown_architecture_has_no_cache(new_layer):
    tree = Tree(new_layer())
    assert install_cache(tree, "sparc") == 0
    assert tree.paths() == []
