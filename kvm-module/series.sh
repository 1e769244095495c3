# SPDX-License-Identifier: GPL-2.0-or-later
# Shell functions that make KVM's sources with the series of kvm-patches/ on them:
# for kvm-module/build and the test bed, and for DKMS on a host. They work in dash
# and bash. $PATCHES is kvm-patches/.

# series_of VERSION: 6.12 of 6.12.118-1, and of 6.12.118+deb13
series_of() { echo "$1" | sed 's/^\([0-9]*\.[0-9]*\).*/\1/'; }

# kvm_parts FOLDER < linux.tar.xz
kvm_parts()
{
	tar -xJ -C "$1" --strip-components=1 --wildcards \
		'*/arch/x86/kvm' '*/virt/kvm' '*/include/linux/kvm_host.h'
}

# kvm_apply FROM TREE [N]: KVM's sources, of the version that FROM is named by,
# with the series of $PATCHES, or its first N patches, on them. False if one does
# not apply; $TREE/.series.log says why, and has the fuzz.
kvm_apply()
{
	ka_series=$PATCHES/$(series_of "$(basename "$1")")
	cp -a "$1/." "$2"
	rm -f "$2/.ok"
	mkdir -p "$2/include/trace"
	: > "$2/.series.log"
	grep -v '^#' "$ka_series/series" | head -n "${3:-99}" | while read -r p files; do
		for f in $files; do
			cp "$PATCHES/files/$f" "$2/$f" || exit 1
		done
		if ! patch -d "$2" -p1 -N --no-backup-if-mismatch < "$ka_series/$p" > "$2/.patch.log" 2>&1; then
			{ echo "$p does not apply:"; cat "$2/.patch.log"
			  find "$2" -name '*.rej' -exec cat {} +; } >> "$2/.series.log"
			exit 1
		fi
		sed -n "s/.*with fuzz/$p: &/p" "$2/.patch.log" >> "$2/.series.log"
		rm "$2/.patch.log"
	done
}

# kvm_exports_missing TREE SYMVERS: what modules of the distribution (kvmgt, vfio)
# use of the kernel's own KVM, by its SYMVERS, and the one built in TREE has not,
# or with another CRC
kvm_exports_missing()
{
	awk 'NR == FNR { have[$2] = $1; next }
		$3 == "arch/x86/kvm/kvm" && have[$2] != $1 { print $2 }' \
		"$1/arch/x86/kvm/Module.symvers" "$2"
}
