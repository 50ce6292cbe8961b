from pathlib import Path

from tiffin.base.aptconf import AptConfig, parse_options

TEXT = """
// a comment
Acquire::http::Proxy "http://proxy.example.org:3128"; # another
Acquire { https { Proxy "DIRECT"; CaInfo "/etc/ssl/mine.pem"; }; Retries "3"; };
/* Acquire::Retries "9";
*/
APT::NeverAutoRemove { "^linux-.*"; };
DPkg::Post-Invoke { "rm -f 'a;b' || true"; };
Acquire::Check-Valid-Until "false";
"""


def test_options_by_full_name():
    options = parse_options(TEXT)
    assert options["acquire::http::proxy"] == "http://proxy.example.org:3128"
    assert options["acquire::https::proxy"] == "DIRECT"
    assert options["acquire::https::cainfo"] == "/etc/ssl/mine.pem"
    assert options["acquire::retries"] == "3"
    assert not any("autoremove" in name for name in options)


def test_flags():
    config = AptConfig(parse_options(TEXT))
    assert config.flag("Acquire::Check-Valid-Until", default=True) is False
    assert config.flag("Acquire::Check-Date", default=True) is True
    assert config.flag("Acquire::Retries", default=False) is False


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_files_are_read_in_apts_order(tmp_path):
    parts = tmp_path / "etc/apt/apt.conf.d"
    write(parts / "20second", 'A "2"; B "2"; C "2";')
    write(parts / "10first", 'A "1";')
    write(parts / "30backup.dpkg-old", 'A "old";')
    write(tmp_path / "etc/apt/apt.conf", 'B "3"; C "3";')
    write(tmp_path / "elsewhere", 'C "4";')
    config = AptConfig.read(tmp_path, {"APT_CONFIG": "/elsewhere"})
    assert [config.get(name) for name in "ABC"] == ["2", "3", "4"]


def test_no_configuration_is_no_error(tmp_path):
    assert AptConfig.read(tmp_path, {}).get("anything", "else") == "else"
