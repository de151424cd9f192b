# SPDX-License-Identifier: BSD-2-Clause
# The UEFI loader. gnu-efi supplies the declarations, and the entry code, which relocates it.

EFI := $(BUILD)/BOOTX64.EFI
EFI_DIR := /usr/lib
EFI_INCLUDE := -isystem /usr/include/efi -isystem /usr/include/efi/x86_64
EFI_CFLAGS := -std=gnu17 -Os -g -I. $(EFI_INCLUDE) -DGNU_EFI_USE_MS_ABI $(WARNINGS) \
	-ffreestanding -fpic -fshort-wchar -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -fcf-protection=none \
	-DVERSION='"$(VERSION)"'
# The hypervisor's parser, so that a mistake gets the same message here and there.
EFI_SRCS := $(wildcard boot/efi/*.c) hv/config/config.c hv/config/disk_parse.c hv/config/text.c hv/config/timed_parse.c hv/base/format.c hv/base/string.c boot/efi/enter.S
EFI_OBJS := $(EFI_SRCS:%=$(BUILD)/efi/%.o)

$(BUILD)/efi/%.o: % Makefile boot/efi/efi.mk
	@mkdir -p $(@D)
	$(Q)$(CC) $(EFI_CFLAGS) -MMD -MP -c $< -o $@

# A shared object that gnu-efi's entry code relocates, in the format that firmware loads.
$(EFI): $(EFI_OBJS)
	@echo "  LINK $@"
	$(Q)ld -nostdlib -znocombreloc -shared -Bsymbolic -z noexecstack --no-undefined \
		--no-warn-rwx-segments -T $(EFI_DIR)/elf_x86_64_efi.lds \
		$(EFI_DIR)/crt0-efi-x86_64.o $^ $(EFI_DIR)/libgnuefi.a -o $(BUILD)/efi/loader.so
	$(Q)objcopy -j .text -j .data -j .dynamic -j .dynsym -j .rel -j '.rel.*' -j .rela -j '.rela.*' \
		-j .reloc --target efi-app-x86_64 --subsystem=10 $(BUILD)/efi/loader.so $@

-include $(EFI_OBJS:.o=.d)
