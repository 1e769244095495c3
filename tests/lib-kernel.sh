# SPDX-License-Identifier: GPL-2.0-or-later
# Shell helpers about kernels, shared by tests/deps, kvm-module/build and
# tests/versions. Source it after lib.sh. It works in dash and bash.

APT=$C/apt
PATCHES=$SRC/kvm-module/kvm-patches
. "$SRC/kvm-module/series.sh"

apt_options()
{
	echo "-o Dir::Etc::SourceList=$APT/$1.sources -o Dir::Etc::SourceParts=/dev/null" \
	     "-o Dir::Etc::PreferencesParts=/dev/null -o Dir::Etc::Preferences=/dev/null" \
	     "-o Dir::State::Lists=$APT/$1/lists -o Dir::State::Status=$APT/$1/status" \
	     "-o Dir::Cache=$APT/$1/cache -o APT::Sandbox::User=root" \
	     "-o APT::Get::List-Cleanup=0 -o Acquire::Retries=3"
}

# newest PKG RELEASE: the highest version across the suite and its security
# and updates suites (apt's candidate: all have the same priority).
newest()
{
	# shellcheck disable=SC2046
	apt-cache $(apt_options "$2") policy "$1" | awk '/Candidate:/ && $2 != "(none)" { print $2 }'
}

# What there is a series for, and the suites that have such kernels.
SERIES='6.12 7.3'
suites_of()
{
	case $1 in
	6.12) echo bookworm trixie ;;
	*) echo trixie-backports ;;
	esac
}

# suite_of VERSION: where that version of a package, or kernel of that name, is
suite_of()
{
	case $1 in
	6.12.*deb12*) echo bookworm ;;
	6.12.*) echo trixie ;;
	*) echo trixie-backports ;;
	esac
}

# kernels SUITE SERIES: those there that can be built for, newest first
kernels()
{
	# shellcheck disable=SC2046
	apt-cache $(apt_options "$1") pkgnames "linux-headers-$2." |
		sed -n 's/^linux-headers-\([0-9.]*+deb[0-9.]*\)-common$/\1/p' | sort -rV
}

# kvm_source VERSION RELEASE: the three parts of that version of Linux that KVM
# is built from, into $C/src/kvm/VERSION, by the package linux-source-*; by
# the source package where there is no other. What is downloaded for it is not
# kept: 150 MB for 5. False if the archive has it no more.
kvm_source()
{
	ks=$C/src/kvm/$1
	[ ! -e "$ks/.ok" ] || return 0
	[ -d "$APT/$2" ] || die "no package lists of $2; run tests/deps apt"
	ks_source=linux-source-$(series_of "$1")
	rm -rf "$ks" "$ks".new.*
	ks_new=$(mktemp -d "$(mkdir -p "$C/src/kvm"; echo "$ks.new.XXXXXX")")
	mkdir "$ks_new/dl" "$ks_new/kvm"
	deb=$C/debs/${ks_source}_$1_all.deb
	if [ ! -e "$deb" ]; then
		# shellcheck disable=SC2046
		(cd "$ks_new/dl" && apt-get $(apt_options "$2") -q download "$ks_source=$1") > "$C/logs/kvm-source.log" 2>&1 || :
		deb=$(echo "$ks_new"/dl/*.deb)
	fi
	if [ -e "$deb" ]; then
		dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/src/$ks_source.tar.xz" | kvm_parts "$ks_new/kvm"
	else
		for p in linux "linux-$(series_of "$1")"; do
			# shellcheck disable=SC2046
			! (cd "$ks_new/dl" && apt-get $(apt_options "$2") -q source --download-only "$p=$1") >> "$C/logs/kvm-source.log" 2>&1 || break
		done
		deb=$(echo "$ks_new"/dl/*.orig.tar.xz)
		if [ ! -e "$deb" ]; then
			rm -rf "$ks_new"
			warn "cannot download Linux $1 of $2; the log is $C/logs/kvm-source.log"
			return 1
		fi
		kvm_parts "$ks_new/kvm" < "$deb"
		kvm_debian "$ks_new/kvm" "$ks_new"/dl/*.debian.tar.xz "$1"
	fi
	[ -e "$ks_new/kvm/virt/kvm/kvm_main.c" ] || die "no virt/kvm in $(basename "$deb")"
	touch "$ks_new/kvm/.ok"
	mv "$ks_new/kvm" "$ks"
	rm -rf "$ks_new"
}

# kvm_debian FOLDER DEBIAN.TAR.XZ VERSION: linux-source has Debian's patches
# applied, the source package has not. None touches KVM so far.
kvm_debian()
{
	! tar -xJOf "$2" --wildcards 'debian/patches/*.patch' |
		grep -E '^\+\+\+ b/(arch/x86/kvm|virt/kvm|include/linux/kvm_host\.h)' >&2 ||
		die "Debian's patches to Linux $3 touch KVM; kvm_debian() of tests/lib-kernel.sh has to apply them"
}

# kernel_cc KERNEL: the compiler that it was built by
kernel_cc()
{
	sed -n 's/^CONFIG_CC_VERSION_TEXT="\([^ "]*\) .*/\1/p' "$1"/img/boot/config-*
}

# kernel_make KERNEL ARGUMENT...: run make for modules of that kernel by the
# compiler that it was built by: here, or in the Debian 13 tree, which has the
# cache at /hermit.
kernel_make()
{
	km=$1
	shift
	# BTF needs pahole and is of no use here
	set -- -j"$(nproc)" CONFIG_DEBUG_INFO_BTF_MODULES= "$@" modules
	if [ ! -e "$km/in-tree" ]; then
		make -C "$km/build" "$@"
		return
	fi
	n=$#
	while [ "$n" -gt 0 ]; do
		a=$1
		shift
		set -- "$@" "$(echo "$a" | sed "s#$C/#/hermit/#g")"
		n=$((n - 1))
	done
	(TREE=trixie; in_tree make -C "/hermit${km#"$C"}/build" "$@")
}
