#!/bin/sh
# Runs in the node's root: what a container's systemd must not start is switched off, what a node needs is switched on.
set -e
find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
for wants in multi-user local-fs basic; do rm -f /lib/systemd/system/$wants.target.wants/*; done
rm -f /etc/systemd/system/*.wants/* /lib/systemd/system/sockets.target.wants/*udev* /lib/systemd/system/sockets.target.wants/*initctl*
rm -f /lib/systemd/system/containerd.service
echo ReadKMsg=no >> /etc/systemd/journald.conf
ln -sf /lib/systemd/systemd /sbin/init
systemctl -q enable kubelet.service containerd.service undo-mount-hacks.service static-cni.service
systemctl -q mask systemd-binfmt.service
systemctl -q set-default multi-user.target
ctr oci spec |
  jq '.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' > /etc/containerd/cri-base.json
: > /etc/machine-id
rm -f /etc/hostname /etc/resolv.conf /etc/cni/net.d/*
